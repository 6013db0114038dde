"""Which schedule of a job was in force at a time, as the change log tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audit.models import ChangeRecord
from calendars.models import Calendar
from jobs.models import Job, fire_within, not_before, schedule_from
from jobs.schedules.schedule import Schedule

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
    """The schedule in force at a time; for a future time, the current one. Raises `CronError`."""
    record = _records(job).filter(at__lte=at).order_by("-at", "-id").first()
    later = _records(job).filter(at__gt=at).exists()
    return _of_record(record) if record is not None and later else _of_job(job, record)


def fire_times_between(job: Job, first: dt.datetime, last: dt.datetime) -> Iterator[dt.datetime]:
    """The fire times from `first` to `last` (aware), both included, each by the schedule in force then. Raises
    `CronError`.
    """
    force = in_force(job, first)
    begin = max(first, job.created_at)
    for record in _records(job).filter(at__gt=first, at__lte=last).order_by("at", "id"):
        yield from force.fire_times(begin, record.at - _TICK)
        begin = max(begin, record.at)
        force = _of_record(record)
    yield from force.fire_times(begin, last)


def _records(job: Job) -> Any:
    return ChangeRecord.objects.filter(subject_id=job.pk, schedule__isnull=False)


def _of_job(job: Job, since: ChangeRecord | None) -> InForce:
    return InForce(job.cron_expression, job.is_active, job.start_date, job.end_date, since, job.schedule)


def _of_record(record: ChangeRecord) -> InForce:
    kept: dict[str, Any] = record.schedule or {}
    start = dt.date.fromisoformat(kept["start_date"]) if kept["start_date"] else None
    end = dt.date.fromisoformat(kept["end_date"])
    return InForce(kept["cron_expression"], kept["is_active"], start, end, record, _schedule(kept))


def _schedule(kept: dict[str, Any]) -> Schedule:
    """The schedule of a change record, with the calendar's days of today; records of before had none."""
    calendar_id = kept.get("calendar_id")
    calendar = Calendar.objects.filter(pk=calendar_id).first() if calendar_id else None
    return schedule_from(
        kept["cron_expression"],
        kept.get("time_zone", ""),
        calendar.pk if calendar else None,
        calendar.version if calendar else None,
        kept.get("on_closed_day", "run"),
        kept.get("shift_limit_days", 10),
        kept.get("keep_month", False),
        kept.get("shift_open_days", 0),
        kept.get("every_nth", 1),
        dt.date.fromisoformat(kept["counted_from"]) if kept.get("counted_from") else None,
    )
