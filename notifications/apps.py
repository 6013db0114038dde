from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from executions.signals import executions_finished
        from jobs.signals import jobs_changed
        from notifications import routing

        jobs_changed.connect(routing.on_jobs_changed, dispatch_uid="notifications")
        executions_finished.connect(routing.on_executions_finished, dispatch_uid="notifications")
