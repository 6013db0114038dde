from django.urls import path

from windows import api

urlpatterns = [
    path("windows", api.WindowsView.as_view()),
    path("windows/<str:window_id>", api.WindowView.as_view()),
]
