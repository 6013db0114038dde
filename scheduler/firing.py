"""Firing: turning due fire times into executions, each exactly once."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from executions import engine
from executions.engine import Delivery
from executions.models import Execution, Status, TriggerType
from executions.services import delivery_of, hand_over
from executions.targets import type_of
from jobs.models import Job, Revision, fire_within
from jobs.schedule import CronError
from scheduler.leadership import Leader

log = logging.getLogger("cronsched.firing")
CHUNK = 500
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
            jobs = list(
                Job.objects.due(now)
                .select_for_update(of=("self",))
                .defer("notification_emails", "created_at", "updated_at")[:CHUNK]
            )
            if not jobs:
                return fired
            deliveries = _fire_chunk(jobs, now, worker_id, fired)
        hand_over(deliveries)


def _fire_chunk(jobs: list[Job], now: dt.datetime, worker_id: object, fired: Fired) -> list[Delivery]:
    planned: list[tuple[Job, Execution]] = []
    missed: list[Execution] = []
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
        planned.append((job, _execution(job, due, now, Status.RUNNING, worker_id)))
        missed += [_missed(job, moment, now, total) for moment in earlier]
    new = _inserted([execution for _, execution in planned])
    Execution.objects.bulk_create(missed, ignore_conflicts=True, batch_size=CHUNK)
    _advance(by_next, now, {execution.job_id for _, execution in planned if execution.id in new})
    fired.executions += len(new)
    fired.missed += len(missed)
    return [delivery_of(job, execution, job.target, job.metadata) for job, execution in planned if execution.id in new]


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


def _execution(job: Job, moment: dt.datetime, now: dt.datetime, status: Status, worker_id: object) -> Execution:
    return Execution(
        job_id=job.pk,
        status=status,
        trigger_type=TriggerType.SCHEDULED,
        scheduled_for=moment,
        started_at=now,
        execution_type=type_of(job.target),
        target=str(job.target),
        worker_id=worker_id,
    )


def _missed(job: Job, moment: dt.datetime, now: dt.datetime, total: int) -> Execution:
    execution = _execution(job, moment, now, Status.MISSED, None)
    execution.started_at = execution.completed_at = moment
    execution.error_message = (
        f"missed: no scheduler fired it in time; {total} fire times were missed, and the latest was run instead"
    )
    return execution


def _inserted(executions: list[Execution]) -> set[object]:
    """Store executions but those whose fire time has one already; returns the ids of the stored."""
    Execution.objects.bulk_create(executions, ignore_conflicts=True, batch_size=CHUNK)
    ids = [execution.id for execution in executions]
    return set(Execution.objects.filter(pk__in=ids).order_by().values_list("id", flat=True))


def _advance(by_next: dict[dt.datetime | None, list[Job]], now: dt.datetime, ran: set[object]) -> None:
    """Move the jobs to their next fire times, one statement for each."""
    for following, jobs in by_next.items():
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(next_run_at=following)
    Job.objects.filter(pk__in=ran).update(last_execution_at=now, last_status=Status.RUNNING)
    Revision.bump()

