from django.urls import path

from settings_app import api

urlpatterns = [
    path("settings/slack", api.SlackSettingsView.as_view()),
    path("auth/users/<str:user_id>/preferences", api.PreferencesView.as_view()),
    path("auth/users/<str:user_id>/ui-preferences", api.UiPreferencesView.as_view()),
]
