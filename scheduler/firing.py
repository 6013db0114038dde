"""Firing: turning due fire times into executions, each exactly once."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from executions import engine
from executions.bulk import insert_new
from executions.engine import Delivery
from executions.models import Execution, Status, TriggerType
from executions.services import delivery_of, hand_over
from executions.targets import type_of
from jobs.models import Job, Revision, fire_within
from jobs.schedule import CronError
from scheduler.leadership import Leader

log = logging.getLogger("cronsched.firing")
CHUNK = 500
_READ = (
    "name", "cron_expression", "target_url", "github_owner", "github_repo", "github_workflow_name", "metadata",
    "end_date", "next_run_at",
)  # fmt: skip
# Of the fire times that a job missed, the latest ones are recorded one by one; earlier ones are counted.
MISSED_RECORDED = 100


@dataclass
class Fired:
    """What one call of `fire` did."""

    executions: int = 0
    missed: int = 0
    unusable: list[str] = field(default_factory=list)


def fire(leader: Leader) -> Fired:
    """Fire everything that is due now, in chunks of one transaction each; calls of a chunk leave when it is stored.

    The database says what is due: each active job's `next_run_at`. Of several fire times that a job missed, the latest is
    run and the others are recorded as `missed`. A fire time has at most one execution, whoever fires it and however often:
    `UNIQUE (job, scheduled_for)`. Raises `NotLeading` if another process has become the leader.
    """
    fired = Fired()
    worker_id = engine.worker_id()
    while True:
        now = timezone.now()
        with transaction.atomic():
            leader.check_fence()
            jobs = list(Job.objects.due(now).select_for_update(of=("self",)).only(*_READ)[:CHUNK])
            if not jobs:
                return fired
            deliveries = _fire_chunk(jobs, now, worker_id, fired)
        hand_over(deliveries)


def _fire_chunk(jobs: list[Job], now: dt.datetime, worker_id: UUID, fired: Fired) -> list[Delivery]:
    planned: dict[UUID, Job] = {}
    rows: list[Row] = []
    by_next: defaultdict[dt.datetime | None, list[Job]] = defaultdict(list)
    for job in jobs:
        try:
            due, earlier, total, following = _due_times(job, now)
        except CronError as exc:
            log.error("job %s (%s) cannot be scheduled: %s", job.pk, job.name, exc)
            fired.unusable.append(str(job.pk))
            by_next[None].append(job)
            continue
        by_next[following].append(job)
        row = Row.of(job, due, Status.RUNNING, now, worker_id)
        planned[row.id] = job
        rows.append(row)
        rows += [Row.of(job, moment, Status.MISSED, moment, None, _missed(total)) for moment in earlier]
    stored = _insert(rows)
    ran = {execution_id: job for execution_id, job in planned.items() if execution_id in stored}
    fired.executions += len(ran)
    fired.missed += len(stored) - len(ran)
    _advance(by_next, now, {job.pk for job in ran.values()})
    return [delivery_of(job, execution_id, now, job.target, job.metadata) for execution_id, job in ran.items()]


def _due_times(job: Job, now: dt.datetime) -> tuple[dt.datetime, list[dt.datetime], int, dt.datetime | None]:
    """The fire time to run, those missed before it (the latest ones), how many were missed, and the next one."""
    first = job.next_run_at
    assert first is not None
    schedule = job.schedule
    following = schedule.next(first)
    if following > now:
        return first, [], 0, fire_within(following, job.end_date)
    last_moment = min(now, _end_of(job.end_date))
    late = [first, *schedule.between(first, last_moment)] if last_moment > first else [first]
    due, earlier = late[-1], late[:-1]
    return due, earlier[-MISSED_RECORDED:], len(earlier), fire_within(schedule.next(now), job.end_date)


def _end_of(day: dt.date) -> dt.datetime:
    """The last microsecond of a day in the scheduler's zone."""
    return dt.datetime.combine(day, dt.time.max, settings.SCHEDULER_ZONE)


class Row(NamedTuple):
    """The columns of a new execution that differ from their defaults, in the order of the insert."""

    id: UUID
    job: UUID
    status: str
    trigger_type: str
    scheduled_for: dt.datetime
    started_at: dt.datetime
    completed_at: dt.datetime | None
    execution_type: str
    target: str
    worker_id: UUID | None
    error_message: str
    output: str
    attempts: list[object]

    @classmethod
    def of(
        cls, job: Job, moment: dt.datetime, status: Status, at: dt.datetime, worker_id: UUID | None, error: str = ""
    ) -> Row:
        target = job.target
        completed_at = at if status == Status.MISSED else None
        return cls(
            uuid7(), job.pk, status.value, TriggerType.SCHEDULED.value, moment, at, completed_at,
            type_of(target).value, str(target), worker_id, error, "", [],
        )  # fmt: skip


def _missed(total: int) -> str:
    return f"missed: no scheduler fired it in time; {total} fire times were missed, and the latest was run instead"


def _insert(rows: list[Row]) -> set[UUID]:
    """Store executions but those whose fire time has one already; returns the ids of the stored."""
    if insert_new(Execution, Row._fields, rows) == len(rows):
        return {row.id for row in rows}
    stored: set[UUID] = set()
    for start in range(0, len(rows), CHUNK):
        ids = [row.id for row in rows[start : start + CHUNK]]
        stored.update(Execution.objects.filter(pk__in=ids).order_by().values_list("id", flat=True))
    return stored


def _advance(by_next: dict[dt.datetime | None, list[Job]], now: dt.datetime, ran: set[UUID]) -> None:
    """Move the jobs to their next fire times, one statement for each time."""
    for following, jobs in by_next.items():
        fired = [job.pk for job in jobs if job.pk in ran]
        Job.objects.filter(pk__in=fired).update(
            next_run_at=following, last_execution_at=now, last_status=Status.RUNNING
        )
        if len(fired) < len(jobs):
            others = [job.pk for job in jobs if job.pk not in ran]
            Job.objects.filter(pk__in=others).update(next_run_at=following)
    Revision.bump()
