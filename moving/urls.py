"""The URLs of the API of moving in."""

from django.urls import path

from moving import api

urlpatterns = [
    path("imports/preview", api.PreviewView.as_view()),
    path("imports", api.CreateView.as_view()),
]
