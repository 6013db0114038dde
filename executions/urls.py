from django.urls import path

from executions import api, batch_api, callback_api

urlpatterns = [
    path("executions", api.ExecutionsView.as_view()),
    path("executions/statistics", api.StatisticsView.as_view()),
    path("executions/<str:execution_id>/exchange", api.ExchangeView.as_view()),
    path("executions/<str:execution_id>/cancel", api.CancelView.as_view()),
    path("executions/<str:execution_id>/rerun", api.RerunView.as_view()),
    path("executions/<str:execution_id>", api.ExecutionView.as_view()),
    path("callbacks/<str:token>", callback_api.CallbackView.as_view()),
    path("batches", batch_api.BatchesView.as_view()),
    path("batches/<str:batch_id>", batch_api.BatchView.as_view()),
    path("batches/<str:batch_id>/cancel", batch_api.CancelBatchView.as_view()),
    path("batches/<str:batch_id>/pause", batch_api.PauseBatchView.as_view()),
    path("batches/<str:batch_id>/resume", batch_api.ResumeBatchView.as_view()),
    path("jobs/test-run", api.TestRunView.as_view()),
    path("jobs/<str:job_id>/fill", batch_api.FillView.as_view()),
    path("jobs/<str:job_id>/single-runs", batch_api.SingleRunsView.as_view()),
    path("jobs/<str:job_id>/single-runs/<str:run_id>", batch_api.SingleRunView.as_view()),
    path("jobs/<str:job_id>/enable-workflow", api.EnableWorkflowView.as_view()),
    path("jobs/<str:job_id>/execute", api.ExecuteView.as_view()),
    path("jobs/<str:job_id>/executions", api.JobExecutionsView.as_view()),
    path("jobs/<str:job_id>/executions/stats", api.JobStatisticsView.as_view()),
    path("jobs/<str:job_id>/executions/<str:execution_id>", api.JobExecutionView.as_view()),
]
