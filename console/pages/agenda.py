"""The calendar as a list: the minutes of a day with the jobs of each, and the jobs behind one mark or cell."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count, islice
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import Coalesce, RowNumber
from django.urls import reverse
from django.utils import timezone

from console import forecast, kept
from console.pages.calendar import Filters, executions_of, executions_url, fewest_minutes, worst
from executions.batches import single_run
from executions.models import Execution, Status
from executions.statistics import queries
from executions.statistics.queries import minute_of, read_utc
from jobs.models import Job

# The rows of a panel, the latest executions whose jobs an agenda names, and the names that it shows for a minute.
_ROWS, _READ, _NAMES = 200, 2000, 4
_SLICE = 250
# The minutes that are one row of an agenda: as few as leave at most so many rows.
_ROW_MINUTES, _MOST_ROWS = (1, 5, 10, 30), 300
_COMPARED = 5


class Span(NamedTuple):
    """A part of a day: its first and last minute after midnight."""

    date: dt.date
    first: int
    last: int

    @property
    def title(self) -> str:
        first, last = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.first, self.last))
        return first if first == last else f"{first}-{last}"


def read_span(date: dt.date, first: str, last: str) -> Span | None:
    """The span of the query parameters `at` and `until`, minutes after midnight; None without a valid one."""
    if not (first.isdecimal() and last.isdecimal() and len(first) < 5 and len(last) < 5):
        return None
    span = Span(date, int(first), int(last))
    return span if 0 <= span.first <= span.last < 24 * 60 else None


def panel(span: Span, filters: Filters) -> dict[str, Any]:
    """The executions of a span, and the jobs that are still due in it, each with its usual duration; up to 200."""
    ran = _ran(span, filters)
    coming = _coming(span, filters)
    seconds = _usual({one.job_id for one in ran} | {job.pk for _minute, job in coming})
    rows = [
        {
            "at": timezone.localtime(one.scheduled_for or one.started_at),
            "job": one.job,
            "usual": seconds.get(one.job_id),
            "execution": one,
        }
        for one in ran
    ] + [{"at": _at(span.date, minute), "job": job, "usual": seconds.get(job.pk)} for minute, job in coming]
    return {
        "span": span,
        "rows": rows[:_ROWS],
        "hidden": max(0, len(rows) - _ROWS),
        "most": _ROWS,
        "kept_days": settings.EXECUTIONS_KEPT_DAYS if _is_past_retention(span.date) else 0,
        "url": executions_url(span.date, span.first, span.last, **filters.lookups()),
    }


def _is_past_retention(date: dt.date) -> bool:
    """Whether the executions of a day may be deleted; their counts are kept."""
    days = settings.EXECUTIONS_KEPT_DAYS
    return bool(days) and date <= timezone.localdate() - dt.timedelta(days=days)


def _ran(span: Span, filters: Filters) -> list[Execution]:
    start, end = _at(span.date, span.first), _at(span.date, span.last) + dt.timedelta(minutes=1)
    found = executions_of(span.date, span.date, filters.jobs()).filter(started_at__gte=start, started_at__lt=end)
    return list(found.select_related("job__pic_team").order_by("started_at", "id")[: _ROWS + 1])


def _coming(span: Span, filters: Filters) -> list[tuple[int, Job]]:
    """The jobs that are due in the rest of a span, with their minute, in the order of time; up to 201."""
    first = max(span.first, _first_left(span.date))
    runs = _runs(span.date, filters, first, span.last)
    single = (row for row in _single_runs(span.date, filters, first) if row[0] <= span.last)
    return sorted([*islice(runs, _ROWS + 1), *single], key=lambda row: row[0])


def _first_left(date: dt.date) -> int:
    """The first minute of a day that is still to come; beyond its last one if none is."""
    now = timezone.now().astimezone(settings.SCHEDULER_ZONE)
    if date < now.date():
        return 24 * 60
    return now.hour * 60 + now.minute + 1 if date == now.date() else 0


def _runs(date: dt.date, filters: Filters, first: int, last: int) -> Iterator[tuple[int, Job]]:
    """The runs within some minutes of a day by the jobs' schedules, by name."""
    if first > last:
        return iter(())
    jobs = _around(filters, date)
    due = {
        group.schedule.expression
        for group in forecast.groups(jobs, "is_active")
        if any(first <= minute <= last for minute in group.minutes_of(date))
    }
    found = jobs.filter(cron_expression__in=due).select_related("pic_team", "calendar").order_by("name", "pk")
    return (row for row in forecast.runs_of(_in_slices(found), date) if first <= row[0] <= last)


def _in_slices(jobs: QuerySet[Job]) -> Iterator[Job]:
    """The jobs, of which mostly the first few are asked: a cursor would let the database read them all."""
    for start in count(step=_SLICE):
        rows = list(jobs[start : start + _SLICE])
        yield from rows
        if len(rows) < _SLICE:
            return


def _around(filters: Filters, date: dt.date) -> QuerySet[Job]:
    """The active jobs that may run on a day; it is another one in other zones."""
    day = dt.timedelta(days=1)
    jobs = filters.jobs().filter(is_active=True, end_date__gte=date - day)
    return jobs.exclude(start_date__gt=date + day)


def _single_runs(date: dt.date, filters: Filters, first: int) -> Iterator[tuple[int, Job]]:
    """The single runs from a minute of a day on."""
    if first >= 24 * 60:
        return
    jobs = filters.jobs().select_related("pic_team")
    for one in single_run.coming(jobs, _at(date, first), forecast.bounds(date)[1]):
        local = one.at.astimezone(settings.SCHEDULER_ZONE)
        yield local.hour * 60 + local.minute, one.job


def _usual(job_ids: set[Any]) -> dict[Any, float]:
    """The median seconds of the latest runs of each job."""
    runs = queries.latest_runs(list(job_ids), _COMPARED)
    timed = {pk: [run.duration_seconds for run in found if run.duration_seconds] for pk, found in runs.items()}
    return {pk: median(seconds) for pk, seconds in timed.items() if seconds}


def _at(date: dt.date, minute: int) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(minute // 60, minute % 60), settings.SCHEDULER_ZONE)


def agenda(date: dt.date, filters: Filters) -> dict[str, Any]:
    """The minutes of a day at which something ran or is due, without frequent jobs, which stand apart."""
    groups = forecast.groups(filters.jobs(), "is_active")
    minutes: defaultdict[int, _Minute] = defaultdict(_Minute)
    _add_past(minutes, date, filters, {group.schedule.expression for group in groups if group.is_frequent})
    _add_due(minutes, date, filters, [group for group in groups if not group.is_frequent])
    return {
        "date": date,
        "rows": _rows_of(minutes, date, filters),
        "frequent": sum(group.jobs for group in groups if group.is_frequent),
        "before": date - dt.timedelta(days=1),
        "after": date + dt.timedelta(days=1),
    }


class _Minute:
    """The runs of a minute: how many ended how, how many are due, the names of some of their jobs, and which of these
    failed.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.due = 0
        self.jobs: dict[UUID, str] = {}
        self.failed: set[UUID] = set()

    def add(self, other: _Minute) -> None:
        self.counts.update(other.counts)
        self.due += other.due
        self.jobs |= other.jobs
        self.failed |= other.failed


_Minutes = defaultdict[int, _Minute]


def _add_past(minutes: _Minutes, date: dt.date, filters: Filters, frequent: set[str]) -> None:
    """Count what ran, and name the jobs of the latest executions."""
    ran = executions_of(date, date, filters.jobs()).exclude(job__cron_expression__in=frequent)
    fire_time = Coalesce("scheduled_for", "started_at")

    def minute_at(moment: dt.datetime) -> _Minute:
        local = timezone.localtime(moment)
        return minutes[local.hour * 60 + local.minute if local.date() == date else 0]

    for text, status, number in ran.values_list(minute_of(fire_time), "status").annotate(Count("id")):
        minute_at(read_utc(text)).counts[status] += number
    latest = ran.annotate(at=fire_time).order_by("-started_at")
    for pk, name, moment, status in latest.values_list("job", "job__name", "at", "status")[:_READ]:
        minute = minute_at(moment)
        minute.jobs[pk] = name
        if status == Status.FAILED:
            minute.failed.add(pk)


def _add_due(minutes: _Minutes, date: dt.date, filters: Filters, groups: list[forecast.Group]) -> None:
    """Count what is due, and name the first jobs of each schedule."""
    first = _first_left(date)
    for group in groups:
        for minute in group.minutes_of(date):
            if minute >= first:
                minutes[minute].due += group.jobs
    for minute, pk, name in _first_names(date, filters, {group.schedule.expression for group in groups}):
        if minute >= first:
            minutes[minute].jobs[pk] = name
    for minute, job in _single_runs(date, filters, first):
        minutes[minute].due += 1
        minutes[minute].jobs[job.pk] = job.name


def _first_names(date: dt.date, filters: Filters, expressions: set[str]) -> list[tuple[int, UUID, str]]:
    """The minutes of a day with the jobs that run at them, up to four of each schedule."""
    rank = Window(RowNumber(), partition_by=[F(name) for name in ("cron_expression", "time_zone")], order_by="name")
    first = _around(filters, date).order_by().annotate(rank=rank).filter(rank__lte=_NAMES).values("pk")

    def named() -> list[tuple[int, UUID, str]]:
        jobs = Job.objects.filter(pk__in=first).select_related("calendar").order_by("name")
        chosen = (job for job in jobs if job.cron_expression in expressions)
        return [(minute, job.pk, job.name) for minute, job in forecast.runs_of(chosen, date)]

    return kept.until_edited(("first names", date, str(first.query)), named)


def _rows_of(minutes: _Minutes, date: dt.date, filters: Filters) -> list[dict[str, Any]]:
    """The rows of an agenda. On a day with runs at most of its minutes, some minutes are one row."""
    together = fewest_minutes(_ROW_MINUTES, [minutes], _MOST_ROWS)
    rows: defaultdict[int, _Minute] = defaultdict(_Minute)
    for minute, found in minutes.items():
        rows[minute // together * together].add(found)
    listed = [_row(Span(date, first, first + together - 1), rows[first], filters) for first in sorted(rows)]
    if 0 < (left := _first_left(date)) < 24 * 60 and (coming := [row for row in listed if row["last"] >= left]):
        coming[0]["is_next"] = True
    return listed


def _row(span: Span, found: _Minute, filters: Filters) -> dict[str, Any]:
    names = sorted(found.jobs.items(), key=lambda item: (item[0] not in found.failed, item[1].lower()))[:_NAMES]
    return {
        "url": filters.panel(*span, view="agenda"),
        "at": span.title,
        "last": span.last,
        "jobs": [(name, reverse("admin:jobs_job_view", args=[pk]), pk in found.failed) for pk, name in names],
        "more": max(0, found.counts.total() + found.due - len(names)),
        "kind": worst(found.counts) or "expected",
        "ran": found.counts.total(),
        "failed": found.counts[Status.FAILED],
        "due": found.due,
    }
