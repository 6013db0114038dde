from django.urls import path

from settings_app import api, secret_api

urlpatterns = [
    path("secrets", secret_api.SecretsView.as_view()),
    path("secrets/<str:name>", secret_api.SecretView.as_view()),
    path("webhook-credentials", secret_api.WebhookCredentialsView.as_view()),
    path("webhook-credentials/<str:name>", secret_api.WebhookCredentialView.as_view()),
    path("settings/slack", api.SlackSettingsView.as_view()),
    path("auth/users/<str:user_id>/preferences", api.PreferencesView.as_view()),
    path("auth/users/<str:user_id>/ui-preferences", api.UiPreferencesView.as_view()),
]
