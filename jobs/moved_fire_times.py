"""What a change of a business calendar does to the fire times of the jobs that use it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any, NamedTuple

from django.utils import timezone

from calendars.business_days import BusinessDays
from calendars.models import Calendar
from jobs.models import Job, schedule_of_days
from jobs.schedules.schedule import CronError
from jobs.signals import MovedRun

# How far ahead a change is shown.
_AHEAD = dt.timedelta(days=90)
# How many jobs are read at once.
CHUNK = 500


def fires(job: Job, days: BusinessDays, now: dt.datetime) -> bool:
    """Whether a job has a fire time to come with these days."""
    try:
        schedule_of_days(job, days).next(now)
    except CronError:
        return False
    return True


class Pair(NamedTuple):
    """The first fire time of a day that a change moves, before and after it, and how many times the day has."""

    moments: tuple[dt.datetime | None, dt.datetime | None]
    times: int


def differences(job: Job, old: BusinessDays, new: BusinessDays, now: dt.datetime) -> list[Pair]:
    """The days of the next 90 on which the fire times differ, matched by their nominal day."""
    try:
        before, after = (schedule_of_days(job, days) for days in (old, new))
    except CronError:
        return []
    first, last = now.astimezone(job.zone).date(), (now + _AHEAD).astimezone(job.zone).date()
    moved = [schedule.days_by_nominal(first, last) for schedule in (before, after)]
    minutes = after.tab.minutes
    pairs = []
    for nominal in sorted(moved[0].keys() | moved[1].keys()):
        days = [one.get(nominal) for one in moved]
        if days[0] != days[1]:
            start = dt.time(*divmod(minutes[0], 60), tzinfo=job.zone)
            was, will = (dt.datetime.combine(day, start).astimezone(dt.UTC) if day else None for day in days)
            if (was and was > now) or (will and will > now):
                pairs.append(Pair((was, will), len(minutes)))
    return pairs


def moved_runs(calendar: Calendar, old: BusinessDays) -> list[MovedRun]:
    """The nominal times that a change moves over the present: those that have fired and would again, and those that
    were to fire and would not.
    """
    new, now = calendar.business_days(), timezone.now()
    known: dict[tuple[Any, ...], list[tuple[dt.datetime, dt.datetime]]] = {}
    found = []
    for job in Job.objects.active().filter(calendar=calendar).select_related("calendar").iterator(CHUNK):
        key = job.schedule_values
        if key not in known:
            known[key] = _over_the_present(job, old, new, now)
        found += [
            MovedRun(job, was, will)
            for was, will in known[key]
            if job.is_in_period(was) and job.is_in_period(will) and min(was, will) >= job.created_at
        ]
    return found


def _over_the_present(
    job: Job, old: BusinessDays, new: BusinessDays, now: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The fire times before and after the change, of which one has passed and one is to come."""
    try:
        before, after = (schedule_of_days(job, days) for days in (old, new))
    except CronError:
        return []
    here, reach = now.astimezone(job.zone).date(), dt.timedelta(days=after.rule.reach_days)
    was, will = (one.days_by_nominal(here - reach, here + reach) for one in (before, after))
    by_day: defaultdict[dt.date, list[dt.date]] = defaultdict(list)
    for nominal, day in will.items():
        by_day[day].append(nominal)
    found = []
    for day, nominal_days in sorted(by_day.items()):
        former = [was.get(nominal) for nominal in nominal_days]
        known = [one for one in former if one is not None]
        if not known or day in known:
            continue
        for minute in after.tab.minutes:
            at = dt.time(*divmod(minute, 60), tzinfo=job.zone)
            moment, times = dt.datetime.combine(day, at), [dt.datetime.combine(one, at) for one in known]
            # A day on which another nominal time runs for the first time is no repetition.
            fires_again = len(known) == len(former) and all(one <= now for one in times) and now < moment
            if fires_again or (moment <= now < max(times)):
                found.append((max(times).astimezone(dt.UTC), moment.astimezone(dt.UTC)))
    return found


def follow_skip(job: Job, skipped: dt.datetime, before: BusinessDays, after: BusinessDays) -> None:
    """Where the run moved that was to be skipped, the mark moves with it."""
    old, new = (schedule_of_days(job, days) for days in (before, after))
    local = skipped.astimezone(job.zone)
    if new.is_at(skipped):
        return
    reach = dt.timedelta(days=new.rule.reach_days)
    was, will = (one.days_by_nominal(local.date() - reach, local.date() + reach) for one in (old, new))
    moved = [will[nominal] for nominal, day in was.items() if day == local.date() and nominal in will]
    if moved:
        to = dt.datetime.combine(moved[0], local.timetz()).astimezone(dt.UTC)
        Job.objects.filter(pk=job.pk).update(skipped_run_at=to)
