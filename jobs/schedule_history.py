"""Which schedule of a job was in force at a time, as the change log tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from audit.models import ChangeRecord
from calendars.models import CalendarVersion, days_in_force
from jobs.models import Job, fire_within, not_before, schedule_of_days, zone_named
from jobs.schedules.closed_days import ClosedDayRule
from jobs.schedules.every_nth import EveryNth
from jobs.schedules.schedule import Schedule, schedule_of

_TICK = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class InForce:
    """The schedule in force at a time, and the change that set it (None if the change log does not reach back that
    far).
    """

    expression: str
    is_active: bool
    start_date: dt.date | None
    end_date: dt.date
    since: ChangeRecord | None
    schedule: Schedule

    def fire_times(self, first: dt.datetime, last: dt.datetime) -> Iterator[dt.datetime]:
        """The fire times from `first` to `last`, both included, in order."""
        if not self.is_active:
            return
        zone = self.schedule.zone
        for moment in self.schedule.between(not_before(first - _TICK, self.start_date, zone), last):
            if fire_within(moment, self.end_date, zone) is None:
                return
            yield moment


def in_force(job: Job, at: dt.datetime) -> InForce:
    """The schedule in force at a time, with the calendar's days of then; for a future time, the current one. Raises
    `CronError`.
    """
    record = _records(job).filter(at__lte=at).order_by("-at", "-id").first()
    later = _records(job).filter(at__gt=at).exists()
    return _of_record(record, at) if record is not None and later else _of_job(job, record, at)


def fire_times_between(job: Job, first: dt.datetime, last: dt.datetime) -> Iterator[dt.datetime]:
    """The fire times from `first` to `last` (aware), both included, each by the schedule in force then. Raises
    `CronError`.
    """
    begin = max(first, job.created_at)
    force = in_force(job, begin)
    for change in _changes(job, begin, last):
        yield from force.fire_times(begin, change - _TICK)
        begin, force = change, in_force(job, change)
    yield from force.fire_times(begin, last)


def _changes(job: Job, first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """The times after `first`, until `last`, at which the schedule or a calendar that it had changed, in order."""
    records = list(_records(job))
    used = [record.schedule.get("calendar_id") for record in records]
    calendars = {UUID(one) for one in used if one} | ({job.calendar_id} if job.calendar_id else set())
    versions = CalendarVersion.objects.filter(calendar__in=calendars, began_at__gt=first, began_at__lte=last)
    times = {record.at for record in records if first < record.at <= last}
    return sorted(times.union(versions.values_list("began_at", flat=True)))


def _records(job: Job) -> Any:
    return ChangeRecord.objects.filter(subject_id=job.pk, schedule__isnull=False)


def _of_job(job: Job, since: ChangeRecord | None, at: dt.datetime) -> InForce:
    days = job.business_days if at >= timezone.now() or job.calendar_id is None else days_in_force(job.calendar_id, at)
    schedule = job.schedule if days is None else schedule_of_days(job, days)
    return InForce(job.cron_expression, job.is_active, job.start_date, job.end_date, since, schedule)


def _of_record(record: ChangeRecord, at: dt.datetime) -> InForce:
    kept: dict[str, Any] = record.schedule or {}
    start = dt.date.fromisoformat(kept["start_date"]) if kept["start_date"] else None
    end = dt.date.fromisoformat(kept["end_date"])
    return InForce(kept["cron_expression"], kept["is_active"], start, end, record, _schedule(kept, at))


def _schedule(kept: dict[str, Any], at: dt.datetime) -> Schedule:
    """The schedule of a change record, with the calendar's days of then; records of before had none."""
    calendar_id = kept.get("calendar_id")
    rule = ClosedDayRule(
        kept.get("on_closed_day", "run"),
        kept.get("shift_limit_days", 10),
        kept.get("keep_month", False),
        kept.get("shift_open_days", 0),
    )
    counted = dt.date.fromisoformat(kept["counted_from"]) if kept.get("counted_from") else None
    return schedule_of(
        kept["cron_expression"],
        zone_named(kept.get("time_zone", "")),
        days_in_force(UUID(calendar_id), at) if calendar_id else None,
        rule,
        EveryNth(kept.get("every_nth", 1), counted),
    )
