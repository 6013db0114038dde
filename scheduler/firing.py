"""Firing: turns each due fire time into exactly one execution."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import defaultdict
from functools import cache
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from core.db.executemany import insert_new
from executions import backends, holds
from executions.delivery.carry_out import Teams, delivery_of, read_teams
from executions.delivery.start_deadline import start_deadline
from executions.delivery.state import Delivery
from executions.models import OPEN, Execution, Hold, Status, TriggerType
from executions.recording import queue_outcomes
from executions.statistics import queries, rollups
from executions.statistics.rollups import Ended
from executions.targets import deliverable
from jobs.content import Content, Rendered, asks_for_success, render, values_of
from jobs.field_traits import names
from jobs.fields import OverlapPolicy
from jobs.models import Job, Revision
from jobs.schedules.schedule import Schedule
from notifications.routing import notify_unschedulable
from scheduler.leadership import Leader
from scheduler.policies import Planned, plan
from windows.cover import Cover, Inside

log = logging.getLogger("cronsched.firing")
CHUNK = 500


@cache
def _read() -> tuple[str, ...]:
    """The columns of a job that firing reads."""
    return (*names(having="fired"), "category", "next_run_at", "skipped_run_at")


def fire(leader: Leader, over: threading.Event | None = None) -> None:
    """Fire every due fire time, in chunks of one transaction each; a chunk's calls are submitted after its commit.

    A job is due when its `next_run_at` has passed. `UNIQUE (job, scheduled_for)` allows one execution for each fire
    time, even if several processes fire. Then queued executions whose turn has come are started. Returns early when
    `over` is set. Raises `NotLeading` if another process has become the leader.
    """
    teams = read_teams()
    while not (over and over.is_set()):
        now = timezone.now()
        with transaction.atomic():
            leader.check_fence()
            jobs = _due_jobs(now)
            if not jobs:
                break
            deliveries = _fire_chunk(jobs, now, teams)
        backends.submit(deliveries)
    start_queued(leader, teams)


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
        Execution.objects.filter(pk__in=[execution.pk for execution in chosen], status=Status.QUEUED).update(
            status=Status.RUNNING, started_at=now, worker_id=worker_id
        )
        Hold.objects.filter(pk__in=[execution.pk for execution in chosen]).delete()
        Job.objects.filter(pk__in=[execution.job_id for execution in chosen]).update(
            last_execution_at=now, last_status=Status.RUNNING
        )
        Revision.bump()
    for execution in chosen:
        execution.started_at, execution.worker_id = now, worker_id
    backends.start(chosen, teams)
    return len(chosen)


def _due_jobs(now: dt.datetime) -> list[Job]:
    """The next chunk of due jobs, locked. A job that another transaction has locked is fired after it: that transaction
    changes the revision, which wakes the leader. A row that cannot be read (edited by hand) is suspended and does not
    stop the others.
    """
    due = Job.objects.due(now).annotate(calendar_version=F("calendar__version"))
    due = due.select_for_update(of=("self",), skip_locked=True).only(*_read())[:CHUNK]
    try:
        return list(due)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:
        log.exception("a due job cannot be read: reading one by one")
    jobs = []
    for pk, name in list(Job.objects.due(now).values_list("pk", "name")[:CHUNK]):
        try:
            jobs.append(Job.objects.annotate(calendar_version=F("calendar__version")).only(*_read()).get(pk=pk))
        except (ValueError, TypeError) as exc:
            _put_aside(pk, name, f"what is stored cannot be read: {exc}")
    return jobs


def _put_aside(pk: UUID, name: str, reason: str) -> None:
    """Clear a job's next fire time until it is edited, and notify about it."""
    log.error("job %s (%s) cannot be fired: %s", pk, name, reason)
    Job.objects.filter(pk=pk).update(next_run_at=None, problem=reason[:500])
    notify_unschedulable(pk, name, reason)


def _fire_chunk(jobs: list[Job], now: dt.datetime, teams: Teams) -> list[Delivery]:
    worker_id = backends.new_worker_id()
    deliveries: dict[UUID, Delivery] = {}
    rows: list[Row] = []
    by_next: defaultdict[dt.datetime | None, list[Job]] = defaultdict(list)
    under_way = _open_statuses(jobs)
    # A late fire time is judged by the windows of its own time.
    cover = Cover.since(min(job.next_run_at or now for job in jobs))
    held: dict[UUID, Inside] = {}
    schedules: dict[tuple[object, ...], Schedule] = {}
    succeeded = queries.last_success_for([job.pk for job in jobs if asks_for_success(job)])
    for job in jobs:
        try:
            # Thousands of jobs share a few schedules.
            schedule = schedules.get(values := job.schedule_values) or schedules.setdefault(values, job.schedule)
            planned = plan(job, now, under_way.get(job.pk, frozenset()), cover, schedule)
            new, kept, starting = [], {}, {}
            for one in planned.executions:
                row, rendered = new_row(job, one, now, worker_id, schedule, succeeded.get(job.pk))
                new.append(row)
                if one.inside:
                    kept[row.id] = one.inside
                if row.status == Status.RUNNING:
                    starting[row.id] = delivery_of(
                        job,
                        row.id,
                        now,
                        deliverable(rendered.target),
                        rendered.content,
                        teams=teams,
                        worker_id=worker_id,
                        scheduled_for=row.scheduled_for,
                        deadline=start_deadline(job, now, row.scheduled_for),
                    )
        except (ValueError, TypeError, OverflowError, IndexError, AttributeError) as exc:
            _put_aside(job.pk, job.name, str(exc))
            continue
        by_next[planned.following].append(job)
        rows += new
        deliveries |= starting
        held |= kept
    stored = store(rows)
    if held:
        holding = {pk: inside for pk, inside in held.items() if pk in stored}
        holds.hold(holding, {row.id: row.job for row in rows if row.id in holding})
    ran = [delivery for execution_id, delivery in deliveries.items() if execution_id in stored]
    _advance(by_next, now, {delivery.job_id for delivery in ran})
    asking = {job.pk for job in jobs if job.notify_on_missed}
    queue_outcomes(row.id for row in rows if row.id in stored and row.status not in OPEN and row.job in asking)
    return ran


def _open_statuses(jobs: list[Job]) -> dict[UUID, frozenset[str]]:
    """The statuses of open executions that no window holds, for the jobs whose overlap policy needs them."""
    asking = [job.pk for job in jobs if job.overlap_policy != OverlapPolicy.ALLOW]
    if not asking:
        return {}
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for job_id, status in (
        Execution.objects.filter(job__in=asking, status__in=OPEN, hold=None).order_by().values_list("job", "status")
    ):
        found[job_id].add(status)
    return {job_id: frozenset(statuses) for job_id, statuses in found.items()}


def new_row(
    job: Job,
    planned: Planned,
    now: dt.datetime,
    worker_id: UUID | None,
    schedule: Schedule,
    succeeded_for: dt.datetime | None = None,
) -> tuple[Row, Rendered]:
    """A new execution, and what it sends. Raises `ValueError`."""
    pk, nominal_for = uuid7(), schedule.nominal_for(planned.moment)
    rendered = Rendered(job.target, Content.of(job))
    if job.templated and planned.status in OPEN:
        values = values_of(
            job,
            execution_id=str(pk),
            trigger=TriggerType.SCHEDULED,
            scheduled_for=planned.moment,
            nominal_for=nominal_for,
            succeeded_for=succeeded_for,
        )
        rendered = render(job, rendered.target, rendered.content, values)
    return Row.of(job, planned, pk, nominal_for, rendered, now, worker_id), rendered


class Row(NamedTuple):
    """The columns of a new execution that differ from their defaults, in the order of the insert."""

    id: UUID
    job: UUID
    status: str
    trigger_type: str
    scheduled_for: dt.datetime
    nominal_for: dt.datetime | None
    started_at: dt.datetime
    completed_at: dt.datetime | None
    execution_type: str
    target: str
    worker_id: UUID | None
    error_message: str
    output: str
    attempts: list[object]
    overrides: dict[str, object] | None

    @classmethod
    def of(
        cls,
        job: Job,
        planned: Planned,
        pk: UUID,
        nominal_for: dt.datetime | None,
        rendered: Rendered,
        now: dt.datetime,
        worker_id: UUID | None,
    ) -> Row:
        target = rendered.target
        is_open = planned.status in OPEN
        at = planned.moment if planned.status == Status.MISSED else now
        return cls(
            pk,
            job.pk,
            planned.status.value,
            TriggerType.SCHEDULED.value,
            planned.moment,
            nominal_for,
            at,
            None if is_open else at,
            target.kind,
            str(target),
            worker_id if is_open else None,
            planned.reason,
            "",
            [],
            {"rendered": rendered.content.stored()} if rendered.content.is_rendered else None,
        )


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
        stored.update(Execution.objects.filter(pk__in=ids).order_by().values_list("id", flat=True))
    return stored


def _advance(by_next: dict[dt.datetime | None, list[Job]], now: dt.datetime, ran: set[UUID]) -> None:
    """Set the next fire time of the jobs, one statement for each distinct time."""
    for following, jobs in by_next.items():
        fired = [job.pk for job in jobs if job.pk in ran]
        Job.objects.filter(pk__in=fired).update(
            next_run_at=following, last_execution_at=now, last_status=Status.RUNNING
        )
        if len(fired) < len(jobs):
            others = [job.pk for job in jobs if job.pk not in ran]
            Job.objects.filter(pk__in=others).update(next_run_at=following)
    Revision.bump()
