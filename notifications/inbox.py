"""Operations of a user on notifications. Each is one transaction and raises `DomainError`s."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Forbidden, NotFound
from core.api.timestamps import DateRange
from executions.models import Execution
from jobs.models import Job
from notifications.models import Event, EventQuerySet, EventState, Inbox

_INSTANT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Notification:
    """An event and one user's state of it."""

    event: Event
    user_id: UUID
    read_at: dt.datetime | None
    job_id: UUID | None
    execution_id: UUID | None


def visible(user: User, span: DateRange | None = None, *, unread_only: bool = False) -> EventQuerySet:
    """The events that a user has not deleted, in a date range."""
    inbox = _inbox(user)
    events: EventQuerySet = Event.objects.meant_for(user)
    if span:
        events = events.filter(**span.lookup("created_at"))
    for start, end in inbox.spans:
        gone = {"created_at__lt": end} | ({"created_at__gte": start} if start else {})
        events = events.exclude(**gone)
    states = EventState.objects.filter(user=user)
    if not unread_only:
        return events.exclude(pk__in=states.filter(is_deleted=True).values("event"))
    if inbox.read_marks:
        events = events.filter(created_at__gt=inbox.marks[-1])
    return events.exclude(pk__in=states.values("event"))


def as_seen(user: User, events: Iterable[Event]) -> list[Notification]:
    """Events with the user's state, without ids of deleted jobs and executions."""
    events = list(events)
    marks = _inbox(user).marks
    read = dict(
        EventState.objects.filter(user=user, event__in=[e.pk for e in events]).values_list("event_id", "read_at")
    )
    jobs = _existing(Job, {e.job_id for e in events if e.job_id})
    executions = _existing(Execution, {e.execution_id for e in events if e.execution_id})
    return [
        Notification(
            event,
            user.pk,
            read.get(event.pk) or next((mark for mark in marks if mark >= event.created_at), None),
            event.job_id if event.job_id in jobs else None,
            event.execution_id if event.execution_id in executions else None,
        )
        for event in events
    ]


def _existing(model: type[Job] | type[Execution], ids: set[UUID]) -> set[UUID]:
    return set(model._default_manager.filter(pk__in=ids).order_by().values_list("pk", flat=True)) if ids else set()


@transaction.atomic
def mark_read(event_id: str, *, by: User) -> Notification:
    """Mark one notification as read; if it is read already, `read_at` stays."""
    event = _event(event_id, by, "access")
    seen = as_seen(by, [event])[0]
    if seen.read_at is None:
        EventState.objects.update_or_create(user=by, event=event, defaults={"read_at": timezone.now()})
        seen = as_seen(by, [event])[0]
    return seen


@transaction.atomic
def mark_all_read(*, by: User) -> int:
    """Mark all notifications as read; returns how many were unread."""
    inbox = _locked_inbox(by)
    count = visible(by, unread_only=True).count()
    if count:
        inbox.mark(timezone.now())
        inbox.save()
    return count


@transaction.atomic
def delete_one(event_id: str, *, by: User) -> None:
    """Delete one notification from the user's list."""
    event = _event(event_id, by, "delete")
    EventState.objects.update_or_create(user=by, event=event, defaults={"is_deleted": True})


@transaction.atomic
def delete_read(span: DateRange, *, by: User) -> int:
    """Delete all read notifications of a date range from the user's list; returns how many."""
    inbox = _locked_inbox(by)
    before = visible(by, span).count()
    events = Event.objects.meant_for(by).filter(**span.lookup("created_at"))
    EventState.objects.filter(user=by, read_at__isnull=False, event__in=events.values("pk")).update(is_deleted=True)
    if inbox.read_marks:
        all_read = inbox.marks[-1] + _INSTANT
        end = min(span.end, all_read) if span.end else all_read
        if span.start is None or span.start < end:
            inbox.clear(span.start, end)
            inbox.save()
    return before - visible(by, span).count()


def forget(before: dt.datetime) -> None:
    """Drop what inboxes say of events before `before`, which are deleted."""
    for pk in Inbox.objects.values_list("pk", flat=True):
        with transaction.atomic():
            for inbox in Inbox.objects.select_for_update().filter(pk=pk):
                inbox.forget(before)
                inbox.save()


def _inbox(user: User) -> Inbox:
    return Inbox.objects.filter(user=user).first() or Inbox(user=user)


def _locked_inbox(user: User) -> Inbox:
    Inbox.objects.get_or_create(user=user)
    return Inbox.objects.select_for_update().get(user=user)


def _event(event_id: Any, user: User, verb: str) -> Event:
    message = f"There is no notification with the id '{event_id}'."
    pk = payload.uuid_or_404(event_id, "Notification not found", message)
    event = Event.objects.filter(pk=pk).first()
    if event is None:
        raise NotFound("Notification not found", message)
    if not Event.objects.meant_for(user).filter(pk=pk).exists():
        error = f"Forbidden: Cannot {verb} other users notifications"
        raise Forbidden(error, error)
    if not visible(user).filter(pk=pk).exists():
        raise NotFound("Notification not found", message)
    return event
