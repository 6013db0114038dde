from django.urls import path

from jobs import api, calendar_api

urlpatterns = [
    path("calendars", calendar_api.CalendarsView.as_view()),
    path("calendars/<str:name>", calendar_api.CalendarView.as_view()),
    path("calendars/<str:name>/closed-days", calendar_api.CalendarYearView.as_view()),
    path("jobs", api.JobsView.as_view()),
    path("jobs/validate-cron", api.ValidateCronView.as_view()),
    path("jobs/cron-preview", api.CronPreviewView.as_view()),
    path("jobs/cron-description", api.CronDescriptionView.as_view()),
    path("jobs/bulk-upload", api.BulkUploadView.as_view()),
    path("jobs/<str:job_id>", api.JobView.as_view()),
]
