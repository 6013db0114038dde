"""The watchdog: API processes check the scheduler, because they run when it does not, and notify the admins.

Each incident is one row, written by the first process that detects it; one notification is sent when it begins and
one when it ends. While nobody leads, the watchdog's process also sends the outbox.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading

from django.conf import settings
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.db.models import Min
from django.utils import timezone

from jobs.models import Job
from notifications.channels import SENDERS
from notifications.outbox import send_due
from notifications.routing import notify_scheduler_incident
from scheduler.models import Incident, Leadership, LeaderTerm

log = logging.getLogger("cronsched.watchdog")
LOOK_SECONDS = 10.0
# Limits: seconds without a leader, and the lag of the oldest due fire time.
NO_LEADER = dt.timedelta(minutes=1)
LAGGING = dt.timedelta(minutes=1)
# A longer backlog cannot be fired in time, even if it has just arisen.
BACKLOG = 50_000
Kind = Incident.Kind


def check() -> set[str]:
    """Check the scheduler; notify about incidents that began or ended. Returns the open incidents."""
    now = timezone.now()
    found = _troubles(now)
    known = {trouble.kind: trouble for trouble in Incident.objects.all()}
    for kind, words in found.items():
        if kind not in known:
            _begin(kind, words, now)
    for kind, trouble in known.items():
        if kind not in found:
            _end(trouble, now)
    if Kind.NO_LEADER in found:
        for channel in SENDERS:
            send_due(channel)
    return set(found)


def _begin(kind: str, words: str, now: dt.datetime) -> None:
    """Store an incident and notify about it, in one transaction: of several processes, only the first does."""
    try:
        with transaction.atomic():
            Incident.objects.create(kind=kind, since=now)
            notify_scheduler_incident(words, over=False)
    except IntegrityError:
        log.debug("another process notified about %s", kind)


def _end(trouble: Incident, now: dt.datetime) -> None:
    """Notify once that an incident has ended."""
    minutes = max(1, round((now - trouble.since).total_seconds() / 60))
    with transaction.atomic():
        if Incident.objects.filter(pk=trouble.pk).delete()[0]:
            notify_scheduler_incident(f"{Kind(trouble.kind).label}: over after {minutes} min.", over=True)


def _troubles(now: dt.datetime) -> dict[str, str]:
    """The current incidents with a description, by kind. An installation that never had a leader is still being set
    up.
    """
    if not LeaderTerm.objects.exists():
        return {}
    found: dict[str, str] = {}
    leadership = Leadership.current()
    seen = leadership.heartbeat_at
    if not leadership.is_live and (seen is None or now - seen > NO_LEADER):
        found[Kind.NO_LEADER] = (
            f"No scheduler leads since {_when(seen)}: no job fires. Start one: manage.py runscheduler."
        )
    due = Job.objects.filter(is_active=True, next_run_at__lte=now)
    oldest = due.aggregate(oldest=Min("next_run_at"))["oldest"]
    # A new leader catches up first.
    settled = leadership.acquired_at is None or now - leadership.acquired_at > LAGGING
    if Kind.NO_LEADER not in found and settled and oldest is not None and now - oldest > LAGGING:
        found[Kind.LAGGING] = f"The scheduler is late: a fire time of {_when(oldest)} has not been fired."
    if oldest is not None and due.count() > BACKLOG:
        found[Kind.BACKLOG] = f"More than {BACKLOG} jobs are due: the scheduler cannot keep up."
    return found


def _when(moment: dt.datetime | None) -> str:
    return f"{moment.astimezone(settings.SCHEDULER_ZONE):%Y-%m-%d %H:%M:%S}" if moment else "the beginning"


def watch(over: threading.Event) -> None:
    """Check every ten seconds until `over` is set; errors are retried."""
    while not over.wait(LOOK_SECONDS):
        try:
            close_old_connections()
            check()
        except Exception:
            log.exception("the watchdog failed, trying again")
            connection.close()
    connection.close()


def start() -> threading.Event:
    """Run the watchdog in a thread of this process; set the returned event to end it."""
    over = threading.Event()
    threading.Thread(target=watch, args=(over,), name="watchdog", daemon=True).start()
    return over
