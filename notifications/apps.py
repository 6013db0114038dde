from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from executions.signals import approval_awaited, outcomes_queued
        from jobs.signals import jobs_changed
        from notifications import outcomes, routing

        jobs_changed.connect(routing.on_jobs_changed, dispatch_uid="notifications")
        approval_awaited.connect(routing.on_approval_awaited, dispatch_uid="notifications")
        outcomes_queued.connect(outcomes.on_outcomes_queued, dispatch_uid="notifications")
