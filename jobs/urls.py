from django.urls import path

from jobs import api

urlpatterns = [
    path("jobs", api.JobsView.as_view()),
    path("jobs/validate-cron", api.ValidateCronView.as_view()),
    path("jobs/cron-preview", api.CronPreviewView.as_view()),
    path("jobs/cron-description", api.CronDescriptionView.as_view()),
    path("jobs/bulk-upload", api.BulkUploadView.as_view()),
    path("jobs/<str:job_id>", api.JobView.as_view()),
]
