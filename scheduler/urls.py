from django.urls import path

from scheduler import api

urlpatterns = [
    path("scheduler/status", api.StatusView.as_view()),
    path("jobs/<str:job_id>/explain", api.ExplainView.as_view()),
    path("scheduler/resync", api.ResyncView.as_view()),
]
