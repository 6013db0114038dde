"""Operations on business calendars, and what a change of one does to the jobs that use it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from calendars.business_days import BusinessDays, countries, national_holidays
from calendars.day_files import MOST_DAYS, Day, read_lines, read_rows
from calendars.models import Calendar, CalendarDay, CalendarVersion
from core.api import payload
from core.api.errors import Checks, Conflict, NotFound, invalid_field, missing_fields
from jobs.models import Job, Revision, schedule_of_days, today
from jobs.moved_fire_times import CHUNK, Pair, differences, fires, follow_skip, moved_runs
from jobs.schedules.schedule import CronError
from jobs.signals import announce_moved
from jobs.validation import time_zone
from taxonomy.models import slug_of

# How many fire times of a change are shown.
_SHOWN = 200
# How many years of national holidays are compared after an update.
_YEARS_SEEN = 3


class MovedTime(NamedTuple):
    """A fire time of the next 90 days that a change of a calendar moves, adds (`before` is None) or drops."""

    job: Job
    before: dt.datetime | None
    after: dt.datetime | None


class Effect(NamedTuple):
    """What a change of a calendar does: the number of jobs that use it, the number of fire times that change, the first
    200 of them, and the jobs that could not fire any more.
    """

    jobs: int
    changes: int
    moved: list[MovedTime]
    broken: list[str]


def get_calendar(name: str, *, lock: bool = False) -> Calendar:
    """The calendar with this slug or id. Raises `Calendar not found`."""
    calendars = Calendar.objects.select_for_update() if lock else Calendar.objects.all()
    wanted = Q(slug=name) | Q(pk=payload.uuid_or_nil(name))
    found = calendars.filter(wanted).first()
    if found is None:
        raise NotFound("Calendar not found", f"There is no calendar '{name[:60]}'.")
    return found


def clean(data: Mapping[str, Any], calendar: Calendar | None = None) -> tuple[dict[str, Any], list[Day] | None]:
    """The columns and the days of a new or changed calendar (None: the days stay). Raises the error of every wrong
    field.
    """
    values: dict[str, Any] = {}
    days: list[Day] | None = None
    checks = Checks()
    with checks.check():
        if calendar is None and not data.get("name"):
            raise missing_fields(["name"])
    with checks.check():
        if data.get("name") is not None and (data["name"] or calendar):
            values["name"] = payload.text(data["name"], "name", limit=100)
            if not values["name"]:
                raise invalid_field("name", "Write a name for the calendar.")
    with checks.check():
        if calendar is None or data.get("slug"):
            slug = payload.text(data.get("slug"), "slug", limit=100)
            values["slug"] = slug_of(slug or values.get("name", ""))
            if not values["slug"] and (slug or "name" in values):
                raise invalid_field("slug", "No slug can be made of this name: send 'slug' with letters a-z or digits.")
    with checks.check():
        if "country" in data:
            values["country"] = payload.text(data["country"], "country", limit=2).upper()
            if values["country"] and values["country"] not in countries():
                raise invalid_field("country", f"The holidays of '{values['country']}' are not known.")
    with checks.check():
        if "time_zone" in data:
            values["time_zone"] = time_zone(data["time_zone"])
    with checks.check():
        if data.get("weekend_days") is not None:
            values["weekend_days"] = _weekend(data["weekend_days"])
    with checks.check():
        if data.get("days") is not None:
            days = _days(data["days"])
    checks.finish()
    return values, days


def _weekend(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(type(one) is int and 1 <= one <= 7 for one in value):
        raise invalid_field("weekend_days", "Send a list of days of the week: 1 is Monday, 7 is Sunday.")
    if len(set(value)) == 7:
        raise invalid_field("weekend_days", "At least one day of the week must be open.")
    return sorted(set(value))


def _days(value: Any) -> list[Day]:
    """The days of a request: lines of text, or objects with date, is_open and label."""
    if isinstance(value, str):
        return read_lines(value)
    if not isinstance(value, list) or len(value) > MOST_DAYS:
        raise invalid_field("days", f"Send a list of at most {MOST_DAYS} days.")
    return read_rows([_row(number, one) for number, one in enumerate(value, 1)])


def _row(number: int, one: Any) -> tuple[str, bool, str]:
    row = payload.mapping(one, "days")
    is_open = row.get("is_open", False)
    if not isinstance(is_open, bool):
        raise invalid_field("days", f"Day {number}: 'is_open' must be true or false.")
    return payload.text(row.get("date"), "days", limit=10), is_open, payload.text(row.get("label"), "days", limit=100)


@transaction.atomic
def create(data: Mapping[str, Any]) -> Calendar:
    """Create a calendar."""
    values, days = clean(data)
    calendar = Calendar(**values)
    calendar.holidays_seen = _holidays(calendar.country)
    _save(calendar)
    _store_days(calendar, days or [])
    CalendarVersion.keep(calendar)
    return calendar


@transaction.atomic
def update(name: str, data: Mapping[str, Any]) -> tuple[Calendar, int]:
    """Change a calendar: the new version and the next fire times of its jobs are written together. A fire time that is
    already due still fires, and nothing fires for the past.

    Returns the calendar and the number of jobs whose next fire time changed. Raises `Calendar in use` if a job could
    not fire any more.
    """
    calendar = get_calendar(name, lock=True)
    values, days = clean(data, calendar)
    broken = _broken(calendar, _after(calendar, values, days))
    if broken:
        raise Conflict("Calendar in use", f"These jobs would never fire: {', '.join(broken[:5])}.", jobs=broken[:20])
    before = calendar.business_days()
    for column, value in values.items():
        setattr(calendar, column, value)
    calendar.version += 1
    calendar.holidays_seen = _holidays(calendar.country)
    _save(calendar)
    if days is not None:
        calendar.days.all().delete()
        _store_days(calendar, days)
    CalendarVersion.keep(calendar)
    # Jobs are locked before the revision, as everywhere.
    changed = _reschedule(calendar, before)
    announce_moved(moved_runs(calendar, before))
    return calendar, changed


@transaction.atomic
def delete(name: str) -> Calendar:
    """Delete a calendar that no job uses. Raises `Calendar in use` with the jobs."""
    calendar = get_calendar(name, lock=True)
    used = jobs_of(calendar)
    if used:
        raise Conflict(
            "Calendar in use", f"Jobs use it: {', '.join(used[:5])}. Choose another for them first.", jobs=used
        )
    Job.with_deleted.filter(calendar=calendar).update(calendar=None)
    calendar.delete()
    return calendar


class MovedHolidays(NamedTuple):
    """What an update of the package `holidays` changed in a calendar: its new and its former days (ISO 8601), and the
    number of jobs whose next fire time changed.
    """

    calendar: Calendar
    new: list[str]
    gone: list[str]
    jobs: int


@transaction.atomic
def follow_holidays() -> list[MovedHolidays]:
    """Compare the national holidays of this year and the next two with those seen before. Where an update of the
    package moved one, the calendar gets a new version, and its jobs new fire times.
    """
    day, moved = today(), list[MovedHolidays]()
    for calendar in Calendar.objects.select_for_update().exclude(country="").order_by("pk"):
        known = _holidays(calendar.country)
        seen = calendar.holidays_seen
        if seen == known:
            continue
        Calendar.objects.filter(pk=calendar.pk).update(holidays_seen=known)
        # Only years that both have: a new year brings new days.
        years = {one[:4] for one in seen} & {one[:4] for one in known}
        new, gone = (
            [one for one in days if one not in others and one[:4] in years and one >= day.isoformat()]
            for days, others in ((known, seen), (seen, known))
        )
        if new or gone:
            calendar.version += 1
            calendar.save(update_fields=["version", "updated_at"])
            CalendarVersion.keep(calendar)
            moved.append(MovedHolidays(calendar, new, gone, _reschedule(calendar)))
    return moved


def _holidays(country: str) -> list[str]:
    """The national holidays of this year and the next two."""
    years = range(today().year, today().year + _YEARS_SEEN) if country else ()
    return sorted(one.isoformat() for year in years for one in national_holidays(country, year))


def jobs_of(calendar: Calendar) -> list[str]:
    """The names of the first 20 jobs that use a calendar."""
    return list(Job.objects.filter(calendar=calendar).order_by("name").values_list("name", flat=True)[:20])


def effect(calendar: Calendar, data: Mapping[str, Any]) -> Effect:
    """What a change would do to the fire times of the next 90 days. Nothing is written."""
    values, days = clean(data, calendar)
    new, old, now = _after(calendar, values, days), calendar.business_days(), timezone.now()
    jobs = Job.objects.filter(calendar=calendar).select_related("calendar", "pic_team").order_by("name")
    count, moved, total = 0, list[MovedTime](), 0
    known: dict[tuple[Any, ...], list[Pair]] = {}
    for job in jobs.iterator(CHUNK):
        total += 1
        key = job.schedule_values
        if key not in known:
            known[key] = differences(job, old, new, now)
        for pair in known[key] if job.is_active else ():
            kept = [one if one and job.is_in_period(one) else None for one in pair.moments]
            if kept[1] and kept[1] <= now:
                # Nothing fires for the past.
                kept[1] = None
            if any(kept):
                count += pair.times
                if len(moved) < _SHOWN:
                    moved.append(MovedTime(job, kept[0], kept[1]))
    return Effect(total, count, moved, _broken(calendar, new))


def _after(calendar: Calendar, values: Mapping[str, Any], days: list[Day] | None) -> BusinessDays:
    """The days of a calendar after a change."""
    names = ("id", "name", "slug", "weekend_days", "country", "time_zone", "version")
    columns = {name: getattr(calendar, name) for name in names}
    return Calendar(**{**columns, **values}).business_days(calendar.days.all() if days is None else days)


def _broken(calendar: Calendar, new: BusinessDays) -> list[str]:
    """The names of the active jobs that fire, and would not any more."""
    old, now = calendar.business_days(), timezone.now()
    known: dict[tuple[Any, ...], bool] = {}
    broken = []
    jobs = Job.objects.active().filter(calendar=calendar).select_related("calendar").order_by("name")
    for job in jobs.iterator(CHUNK):
        key = job.schedule_values
        if key not in known:
            known[key] = fires(job, old, now) and not fires(job, new, now)
        if known[key]:
            broken.append(job.name)
    return broken


def _save(calendar: Calendar) -> None:
    try:
        with transaction.atomic():
            calendar.save()
    except IntegrityError as exc:
        raise Conflict(
            "Duplicate calendar",
            f"A calendar with the name '{calendar.name}' or the slug '{calendar.slug}' exists: choose another name.",
            fields={"name": ["Is taken."]},
        ) from exc


def _store_days(calendar: Calendar, days: Sequence[Day]) -> None:
    CalendarDay.objects.bulk_create(
        CalendarDay(calendar=calendar, date=one.date, is_open=one.is_open, label=one.label) for one in days
    )


def _reschedule(calendar: Calendar, before: BusinessDays | None = None) -> int:
    """Write the next fire times of a calendar's jobs; returns how many changed. What is due stays due."""
    now = timezone.now()
    days = calendar.business_days()
    # In the order in which firing and recording lock jobs.
    coming = Job.objects.active().filter(calendar=calendar).exclude(next_run_at__lte=now).order_by("next_run_at", "id")
    by_next: defaultdict[dt.datetime | None, list[Any]] = defaultdict(list)
    changed = 0
    for job in coming.select_for_update(of=("self",)).select_related("calendar"):
        try:
            # Not by the stored version, which other transactions cannot see yet.
            following = job.fire_after(now, schedule_of_days(job, days))
        except CronError:
            # Firing puts it aside, and tells the admins.
            continue
        changed += following != job.next_run_at
        if before and job.skipped_run_at is not None and job.skipped_run_at > now:
            follow_skip(job, job.skipped_run_at, before, days)
        by_next[following].append(job.pk)
    for following, ids in by_next.items():
        for start in range(0, len(ids), CHUNK):
            Job.objects.filter(pk__in=ids[start : start + CHUNK]).update(next_run_at=following, updated_at=now)
    Revision.bump(edited=True)
    return changed
