"""Filling: running a job for fire times of the past that have no run, or whose run failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Checks, Invalid, invalid_field
from executions.batches.rerun import MOST
from executions.models import OPEN, Batch, BatchRun, Execution, Status, TriggerType
from executions.moved_runs import RAN_ALREADY
from jobs.models import Job
from jobs.schedule_history import fire_times_between
from jobs.schedules.schedule import CronError
from jobs.services import require_owner
from jobs.validation import job_expired

Which = Literal["gaps", "failed", "all"]
WHICH: tuple[Which, ...] = get_args(Which)
MOST_AT_ONCE = 10
# The fire times that are looked at for those to fill.
_MOST_LOOKED_AT = 50_000
_TICK = dt.timedelta(microseconds=1)
_NEVER_RAN = {Status.SKIPPED, Status.MISSED, Status.CANCELLED}


class Gap(NamedTuple):
    """A fire time to fill, and the execution that it has; None if it has none."""

    fire_time: dt.datetime
    execution: Execution | None


class Asked(NamedTuple):
    """What is to be filled: the fire times from `first` to `last`, both included."""

    first: dt.datetime
    last: dt.datetime
    which: Which = "gaps"
    at_once: int = 1


def read(job: Job, data: Mapping[str, Any]) -> Asked:
    """The fields `from`, `to`, `which` (gaps) and `at_once` (1). Raises `Invalid payload`."""
    checks, ends = Checks(), dict[str, dt.datetime]()
    for name in ("from", "to"):
        with checks.check():
            moment = payload.moment(data.get(name), name, job.zone)
            if moment is None:
                raise invalid_field(name, f"'{name}' is required, such as 2026-12-31T18:00:00+09:00.")
            ends[name] = moment
    with checks.check():
        if len(ends) == 2 and ends["to"] < ends["from"]:
            raise invalid_field("to", "The period ends before it begins.")
    which = data.get("which", "gaps")
    with checks.check():
        if which not in WHICH:
            raise invalid_field("which", f"'which' must be one of {', '.join(WHICH)}.")
    at_once = 1
    with checks.check():
        at_once = payload.whole(data.get("at_once", 1), "at_once", 1, MOST_AT_ONCE)
    checks.finish()
    return Asked(ends["from"], ends["to"], which, at_once)


def gaps(job: Job, asked: Asked) -> list[Gap]:
    """The fire times to fill, in order, by the schedules in force then: those without a run (`gaps`: none, skipped,
    missed or cancelled), those whose run `failed`, or `all`. Left out are fire times that are still to be fired, whose
    execution is open, or that a batch runs; what a run by hand made up for is no gap any more. Raises `Invalid payload`
    beyond 1,000.
    """
    found = list(islice(_gaps(job, asked), MOST + 1))
    if len(found) > MOST:
        raise Invalid("Invalid payload", f"These are more than {MOST} fire times: choose a shorter period.")
    return found


def _gaps(job: Job, asked: Asked) -> Iterator[Gap]:
    last = min(asked.last, timezone.now())
    if job.is_active and job.next_run_at is not None:
        # The leader has these still to fire.
        last = min(last, job.next_run_at - _TICK)
    try:
        times = list(islice(fire_times_between(job, asked.first, last), _MOST_LOOKED_AT + 1))
    except CronError as exc:
        raise Invalid("Invalid payload", f"The schedule cannot be used: {exc}") from exc
    if len(times) > _MOST_LOOKED_AT:
        raise Invalid("Invalid payload", "The period has too many fire times: choose a shorter one.")
    known = {one.scheduled_for: one for one in _executions(job, asked.first, last)}
    taken, filled = _taken(job, asked.first, last), _filled(job, asked.first, last)
    for moment in times:
        execution = known.get(moment)
        status = execution.status if execution else None
        if execution and execution.error_message.startswith(f"skipped: window {RAN_ALREADY}"):
            # Before its calendar was changed.
            continue
        if status in OPEN or moment in taken or (moment in filled and asked.which != "all"):
            continue
        if asked.which == "all" or (
            status == Status.FAILED if asked.which == "failed" else status is None or status in _NEVER_RAN
        ):
            yield Gap(moment, execution)


def _taken(job: Job, first: dt.datetime, last: dt.datetime) -> set[dt.datetime | None]:
    """The fire times that a batch is to run, or runs now."""
    waiting = BatchRun.objects.waiting().filter(job_id=job.pk, fire_time__range=(first, last))
    return {*waiting.values_list("fire_time", flat=True), *_makes_up(job, first, last, OPEN)}


def _filled(job: Job, first: dt.datetime, last: dt.datetime) -> set[dt.datetime | None]:
    return _makes_up(job, first, last, [Status.SUCCESS])


def _makes_up(job: Job, first: dt.datetime, last: dt.datetime, statuses: Sequence[str]) -> set[dt.datetime | None]:
    """The fire times for which runs by hand with these statuses make up."""
    by_hand = Execution.objects.filter(job=job, trigger_type=TriggerType.MANUAL, nominal_for__range=(first, last))
    return set(by_hand.filter(status__in=statuses).order_by().values_list("nominal_for", flat=True))


def _executions(job: Job, first: dt.datetime, last: dt.datetime) -> Any:
    found = Execution.objects.filter(job=job, scheduled_for__range=(first, last)).order_by()
    return found.only("pk", "status", "scheduled_for", "job_id", "error_message")


@transaction.atomic
def create(job: Job, found: Sequence[Gap], asked: Asked, *, by: User) -> Batch:
    """A batch that runs the job once for each of these fire times, `at_once` at a time, oldest first; those that
    another batch has taken meanwhile are left out. Raises `Invalid payload` without any, and `Job expired`.
    """
    require_owner(job, by)
    if job.has_ended:
        raise job_expired(job.end_date)
    # Two who fill at once do it one after the other.
    Job.objects.select_for_update().filter(pk=job.pk).first()
    taken = _taken(job, asked.first, asked.last)
    found = [one for one in found if one.fire_time not in taken]
    if not found:
        raise Invalid("Invalid payload", "No fire time of this period is to be filled.")
    first, last = (one.fire_time.astimezone(job.zone) for one in (found[0], found[-1]))
    title = f"{job.name[:130]}: {first:%Y-%m-%d %H:%M} - {last:%Y-%m-%d %H:%M %Z}"
    batch = Batch.objects.create(title=title, by=by, at_once=asked.at_once)
    BatchRun.objects.bulk_create(
        BatchRun(
            batch=batch,
            job_id=job.pk,
            original_id=one.execution.pk if one.execution else None,
            fire_time=one.fire_time,
            due_at=batch.created_at,
        )
        for one in found
    )
    return batch
