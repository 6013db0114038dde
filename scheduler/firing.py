"""Firing: turns each due fire time into exactly one execution."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import defaultdict
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from core.db.among import among
from core.db.bulk import insert_new
from core.db.turns import write_turn
from executions import backends, holds
from executions.delivery.carry_out import Teams, read_teams
from executions.delivery.state import Delivery
from executions.models import OPEN, Execution, Hold, Status
from executions.recording.storage import queue_outcomes
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from jobs.fields import OverlapPolicy
from jobs.models import Job, Revision
from notifications.routing import notify_unschedulable
from scheduler.ahead import Ahead
from scheduler.drafts import UNUSABLE, Draft, Drafter, Row, read
from scheduler.leadership import Leader
from windows.cover import Cover

log = logging.getLogger("cronsched.firing")
CHUNK = 500
# The first calls should leave soon; after that, fewer transactions are quicker.
_LARGEST_CHUNK = 2000


def fire(leader: Leader, over: threading.Event | None = None, ahead: Ahead | None = None) -> None:
    """Fire every due fire time, in chunks of one transaction each; a chunk's calls are submitted after its commit.

    A job is due when its `next_run_at` has passed. `UNIQUE (job, scheduled_for)` allows one execution for each fire
    time, even if several processes fire. `ahead` may hold drafts that were made before. Then queued executions whose
    turn has come are started. Returns early when `over` is set. Raises `NotLeading` if another process has become the
    leader.
    """
    teams, size = read_teams(), CHUNK
    if not (over and over.is_set()) and _fire_chunk(leader, teams, ahead, size):
        with backends.burst():
            more_due = True
            while more_due and not (over and over.is_set()):
                size = min(2 * size, _LARGEST_CHUNK)
                more_due = _fire_chunk(leader, teams, ahead, size)
    start_queued(leader, teams)


def _fire_chunk(leader: Leader, teams: Teams, ahead: Ahead | None, size: int) -> bool:
    """Fire up to `size` due jobs in one transaction, and submit their calls; returns whether more may be due."""
    now, worker_id = timezone.now(), backends.new_worker_id()
    with write_turn(), transaction.atomic():
        leader.check_fence()
        due = _due(now, size)
        if not due:
            return False
        ready = ahead.take(due, now, teams) if ahead else {}
        drafts = [draft.begun_at(now, worker_id) for draft in ready.values()]
        jobs = _read_each([pk for pk in due if pk not in ready])
        drafts += _drafts(jobs, now, teams, worker_id)
        deliveries = _write(drafts, now)
    if ahead:
        ahead.fired(drafts)
    backends.submit(deliveries)
    return len(due) == size


def start_queued(leader: Leader, teams: Teams) -> int:
    """Start queued executions of jobs that have none running, one of each job; returns how many. Jobs with the overlap
    policy `allow`, of which windows have held an execution, do not wait.
    """
    running = Execution.objects.filter(job=OuterRef("job"), status=Status.RUNNING)
    free = ~Exists(running) | Q(job__overlap_policy=OverlapPolicy.ALLOW)
    waiting = Execution.objects.filter(free, status=Status.QUEUED).order_by("started_at", "id")
    waiting = waiting.exclude(hold__until__gt=timezone.now())
    if not waiting.exists():
        return 0
    if waiting.filter(hold__isnull=False).exists():
        # A window may have opened in the last second.
        holds.review(timezone.now())
    now, worker_id = timezone.now(), backends.new_worker_id()
    with transaction.atomic():
        leader.check_fence()
        # Locked, because a user may cancel one at the same time.
        locked = waiting.select_for_update(of=("self",), skip_locked=True)
        first = {execution.job_id: execution for execution in reversed(list(locked.select_related("job")[:CHUNK]))}
        chosen = list(first.values())
        Execution.objects.filter(among(execution.pk for execution in chosen), status=Status.QUEUED).update(
            status=Status.RUNNING, started_at=now, worker_id=worker_id
        )
        Hold.objects.filter(pk__in=[execution.pk for execution in chosen]).delete()
        Job.objects.filter(among(execution.job_id for execution in chosen)).update(
            last_execution_at=now, last_status=Status.RUNNING
        )
        Revision.bump()
    for execution in chosen:
        execution.started_at, execution.worker_id = now, worker_id
    backends.start(chosen, teams)
    return len(chosen)


def _due(now: dt.datetime, size: int) -> list[UUID]:
    """The next chunk of due jobs, locked. A job that another transaction has locked is fired after it: that transaction
    changes the revision, which wakes the leader.
    """
    due = Job.objects.due(now).select_for_update(of=("self",), skip_locked=True)
    return list(due.values_list("pk", flat=True)[:size])


def _read_each(pks: list[UUID]) -> list[Job]:
    """Jobs in the order of their ids here. A row that cannot be read (edited by hand) is suspended and does not stop
    the others.
    """
    if not pks:
        return []
    try:
        found = {job.pk: job for job in read(Job.objects.filter(among(pks)))}
        return [found[pk] for pk in pks if pk in found]
    except (DatabaseError, InterfaceError):
        raise
    except Exception:
        log.exception("a due job cannot be read: reading one by one")
    jobs = []
    for pk, name in list(Job.objects.filter(among(pks)).values_list("pk", "name")):
        try:
            jobs += read(Job.objects.filter(pk=pk))
        except (ValueError, TypeError) as exc:
            _put_aside(pk, name, f"what is stored cannot be read: {exc}")
    return jobs


def _put_aside(pk: UUID, name: str, reason: str) -> None:
    """Clear a job's next fire time until it is edited, and notify about it."""
    log.error("job %s (%s) cannot be fired: %s", pk, name, reason)
    Job.objects.filter(pk=pk).update(next_run_at=None, problem=reason[:500])
    notify_unschedulable(pk, name, reason)


def _drafts(jobs: list[Job], now: dt.datetime, teams: Teams, worker_id: UUID | None) -> list[Draft]:
    """The drafts of jobs that are fired now; those that cannot be fired are put aside."""
    if not jobs:
        return []
    # A late fire time is judged by the windows of its own time.
    drafter = Drafter(jobs, teams, worker_id, Cover.since(min(job.next_run_at or now for job in jobs)))
    drafts = []
    for job in jobs:
        try:
            drafts.append(drafter.draft(job, now))
        except UNUSABLE as exc:
            _put_aside(job.pk, job.name, str(exc))
    return drafts


def _write(drafts: list[Draft], now: dt.datetime) -> list[Delivery]:
    """Store what drafts say; returns the deliveries of the executions that run."""
    rows = [row for draft in drafts for row in draft.rows]
    stored = store(rows)
    held = {pk: inside for draft in drafts for pk, inside in draft.held.items() if pk in stored}
    if held:
        holds.hold(held, {row.id: row.job for row in rows if row.id in held})
    ran = [one for draft in drafts for one in draft.deliveries if one.execution_id in stored]
    _advance(drafts, now, {one.job_id for one in ran})
    queue_outcomes(
        row.id
        for draft in drafts
        if draft.tells_missed
        for row in draft.rows
        if row.id in stored and row.status not in OPEN
    )
    return ran


def store(rows: list[Row]) -> set[UUID]:
    """Insert executions, except for fire times that already have one, and count those that have ended; returns the ids
    of the inserted rows.
    """
    stored = _insert(rows)
    rollups.count(
        Ended(row.job, row.execution_type, row.started_at, Status(row.status), None)
        for row in rows
        if row.id in stored and row.status not in OPEN
    )
    return stored


def _insert(rows: list[Row]) -> set[UUID]:
    """Insert executions, except for fire times that already have one; returns the ids of the inserted rows."""
    if insert_new(Execution, Row._fields, rows) == len(rows):
        return {row.id for row in rows}
    stored: set[UUID] = set()
    for start in range(0, len(rows), CHUNK):
        ids = [row.id for row in rows[start : start + CHUNK]]
        stored.update(Execution.objects.filter(among(ids)).order_by().values_list("id", flat=True))
    return stored


def _advance(drafts: list[Draft], now: dt.datetime, ran: set[UUID]) -> None:
    """Set the next fire time of the jobs, one statement for each distinct time."""
    by_next: defaultdict[dt.datetime | None, list[UUID]] = defaultdict(list)
    for draft in drafts:
        by_next[draft.following].append(draft.job_id)
    for following, job_ids in by_next.items():
        fired = [pk for pk in job_ids if pk in ran]
        Job.objects.filter(among(fired)).update(
            next_run_at=following, last_execution_at=now, last_status=Status.RUNNING
        )
        if len(fired) < len(job_ids):
            Job.objects.filter(among([pk for pk in job_ids if pk not in ran])).update(next_run_at=following)
    Revision.bump()
