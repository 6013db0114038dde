"""Notifications and outgoing messages in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin
from core.sentences import said
from executions.models import PendingOutcome
from notifications.models import Event, Message, MessageStatus


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    purpose = _("What happened to jobs, and who may read it.")
    list_display = ("created_at", "type", "headline", "said", "audience")
    list_filter = ("type", "created_at")
    search_fields = ("message",)
    show_full_result_count = False
    fields = ("created_at", "type", "headline", "said", "audience", "job_id", "execution_id")

    @admin.display(description=_("Title"), ordering="title")
    def headline(self, event: Event) -> str:
        return said(event.title)

    @admin.display(description=_("Message"))
    def said(self, event: Event) -> str:
        return said(event.message)


class QueueAdmin(ReadOnlyAdmin):
    """Rows that wait to be sent or decided, with an action that puts them back."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        """The rows are read-only, so sending again needs its own permission."""
        return bool(request.user.has_perm("notifications.change_message"))

    def _say_put_back(self, request: HttpRequest, count: int) -> None:
        self.message_user(request, _("%(count)d put back in the queue.") % {"count": count})


@admin.register(Message)
class MessageAdmin(QueueAdmin):
    """Messages by e-mail and Slack, with the result of each attempt."""

    purpose = _("E-mails and Slack messages are listed here, with the result of each attempt.")
    list_display = (
        "created_at",
        "channel",
        "recipient",
        "subject",
        "status",
        "attempts",
        "next_attempt_at",
        "last_error",
    )
    list_filter = ("status", "channel", "created_at")
    search_fields = ("recipient", "subject")
    show_full_result_count = False
    actions = ("send_again",)

    @admin.action(description=_("Send again now"), permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Put failed messages back into the outbox."""
        count = queryset.exclude(status=MessageStatus.SENT).update(
            status=MessageStatus.PENDING, attempts=0, next_attempt_at=timezone.now()
        )
        self._say_put_back(request, count)


@admin.register(PendingOutcome)
class PendingOutcomeAdmin(QueueAdmin):
    """Ended executions whose notifications are not decided: just now, or because of an error."""

    purpose = _("Executions stand here while it is decided who is told of them; normally there is none.")
    list_display = ("execution_id", "problem")
    list_display_links = None
    search_fields = ("execution_id",)
    actions = ("try_again",)

    @admin.action(description=_("Try again"), permissions=["send"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[PendingOutcome]) -> None:
        """Put outcomes that were set aside back into the queue."""
        self._say_put_back(request, queryset.update(problem=""))
