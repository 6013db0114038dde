from django.urls import path

from executions import api

urlpatterns = [
    path("executions", api.ExecutionsView.as_view()),
    path("executions/statistics", api.StatisticsView.as_view()),
    path("executions/<str:execution_id>/cancel", api.CancelView.as_view()),
    path("executions/<str:execution_id>", api.ExecutionView.as_view()),
    path("jobs/test-run", api.TestRunView.as_view()),
    path("jobs/<str:job_id>/execute", api.ExecuteView.as_view()),
    path("jobs/<str:job_id>/executions", api.JobExecutionsView.as_view()),
    path("jobs/<str:job_id>/executions/stats", api.JobStatisticsView.as_view()),
    path("jobs/<str:job_id>/executions/<str:execution_id>", api.JobExecutionView.as_view()),
]
