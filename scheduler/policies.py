"""Decides for a due job which of its fire times run, wait, are skipped or missed, by its misfire and overlap
policies.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import NamedTuple

from executions.models import Status
from jobs.fields import MisfirePolicy, OverlapPolicy
from jobs.models import Job
from jobs.schedules.schedule import Schedule
from windows.cover import Cover, Inside
from windows.models import Effect

# Of many missed fire times, only the latest ones are run or recorded individually.
MOST_MOMENTS = 100


class Planned(NamedTuple):
    """A fire time, and the initial status of its execution. `inside`: the window that holds it."""

    moment: dt.datetime
    status: Status
    reason: str = ""
    inside: Inside | None = None


@dataclass
class Plan:
    """The result for all due fire times of a job."""

    executions: list[Planned] = field(default_factory=list)
    following: dt.datetime | None = None


def plan(job: Job, now: dt.datetime, open_statuses: frozenset[str], cover: Cover, schedule: Schedule) -> Plan:
    """Decide about the fire times from `job.next_run_at` to `now`: by the windows, then by the misfire policy, then by
    the overlap policy. What a window skips is no misfire, however late it is seen; what it holds is due when it ends.

    `open_statuses` are the statuses of the job's open executions. Raises `CronError` for an invalid schedule.
    """
    moments, more = _moments(job, now, schedule)
    run, kept = _by_windows(job, moments, cover, now)
    run, missed = _by_misfire_policy(job, run, now)
    count = f"more than {len(missed)}" if more else str(len(missed))
    why = (
        f"missed: no scheduler fired it within {job.misfire_grace_seconds} s (misfire policy: "
        f"{job.misfire_policy}; {count} missed)"
    )
    executions = [*(Planned(moment, Status.MISSED, why) for moment in missed), *kept]
    executions += _by_overlap_policy(job, run, open_statuses)
    return Plan(executions, job.fire_after(max(now, moments[-1]), schedule))


def _moments(job: Job, now: dt.datetime, schedule: Schedule) -> tuple[list[dt.datetime], bool]:
    """The due fire times in order, at most the latest `MOST_MOMENTS`, and whether there were more."""
    first = job.next_run_at
    assert first is not None
    last = min(now, dt.datetime.combine(job.end_date, dt.time.max, job.zone))
    if schedule.next(first) > last:
        return [first], False
    found: list[dt.datetime] = []
    moment = schedule.previous(last + dt.timedelta(microseconds=1))
    while moment > first and len(found) <= MOST_MOMENTS:
        found.append(moment)
        moment = schedule.previous(moment)
    moments = [first, *reversed(found)] if len(found) <= MOST_MOMENTS else found[::-1]
    return moments[-MOST_MOMENTS:], len(moments) > MOST_MOMENTS


def _by_misfire_policy(
    job: Job, moments: list[dt.datetime], now: dt.datetime
) -> tuple[list[dt.datetime], list[dt.datetime]]:
    """The fire times to run, and the missed ones: those within the grace run as usual, the policy is for the others."""
    if job.misfire_policy == MisfirePolicy.RUN_ALL:
        return moments, []
    grace = dt.timedelta(seconds=job.misfire_grace_seconds)
    late = [moment for moment in moments if now - moment >= grace]
    in_time = moments[len(late) :]
    if job.misfire_policy == MisfirePolicy.SKIP or in_time:
        return in_time, late
    return late[-1:], late[:-1]


def _by_windows(
    job: Job, run: list[dt.datetime], cover: Cover, now: dt.datetime
) -> tuple[list[dt.datetime], list[Planned]]:
    """The fire times that run, and those that windows or a person skip or hold: of the held ones the latest waits.
    Those that were due at the end of a window longer ago than the grace are left to the misfire policy.
    """
    if not cover and job.skipped_run_at is None:
        return run, []
    is_all = job.misfire_policy == MisfirePolicy.RUN_ALL
    before = None if is_all else now - dt.timedelta(seconds=job.misfire_grace_seconds)
    free: list[dt.datetime] = []
    kept: list[Planned] = []
    for moment in run:
        inside = cover.inside(job, moment)
        if moment == job.skipped_run_at:
            kept.append(Planned(moment, Status.SKIPPED, "skipped: this run was to be skipped"))
        elif inside is None or (_is_held(inside) and _ended_before(inside, before)):
            free.append(moment)
        elif _is_held(inside):
            kept = [one._replace(status=Status.SKIPPED, inside=None) if one.inside else one for one in kept]
            kept.append(Planned(moment, Status.QUEUED, f"held: window {inside.window.name}", inside))
        else:
            kept.append(Planned(moment, Status.SKIPPED, f"skipped: window {inside.window.name}"))
    return free, kept


def _ended_before(inside: Inside, moment: dt.datetime | None) -> bool:
    return bool(moment and inside.until and inside.until <= moment)


def _is_held(inside: Inside) -> bool:
    return bool(inside.window.effect == Effect.HOLD)


def _by_overlap_policy(job: Job, run: list[dt.datetime], open_statuses: frozenset[str]) -> list[Planned]:
    if job.overlap_policy == OverlapPolicy.ALLOW or not run:
        return [Planned(moment, Status.RUNNING) for moment in run]
    why = f"skipped: the execution before was still under way (overlap policy: {job.overlap_policy})"
    statuses = [Status.SKIPPED] * len(run)
    if not open_statuses:
        statuses[0] = Status.RUNNING
    free = [index for index, status in enumerate(statuses) if status == Status.SKIPPED]
    if job.overlap_policy == OverlapPolicy.QUEUE_ONE and Status.QUEUED not in open_statuses and free:
        statuses[free[-1]] = Status.QUEUED
    return [
        Planned(moment, status, why if status == Status.SKIPPED else "")
        for moment, status in zip(run, statuses, strict=True)
    ]
