from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from executions.signals import executions_finished
        from jobs.signals import jobs_changed
        from notifications import events

        jobs_changed.connect(events.tell_of_changes, dispatch_uid="notifications")
        executions_finished.connect(events.tell_of_executions, dispatch_uid="notifications")
