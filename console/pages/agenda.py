"""The calendar as a list: the minutes of a day with the jobs of each, and the jobs behind one mark or cell."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import islice
from statistics import median
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from console import forecast
from console.pages.calendar import Filters, executions_of, executions_url, worst
from executions.batches import single_run
from executions.models import Execution, Status
from executions.statistics import queries
from jobs.models import Job

# The rows of a panel, the executions that an agenda reads, and the names that it shows for a minute.
_ROWS, _READ, _NAMES = 200, 2000, 4
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
        "url": executions_url(span.date, span.first, span.last, **filters.lookups()),
    }


def _ran(span: Span, filters: Filters) -> list[Execution]:
    start, end = _at(span.date, span.first), _at(span.date, span.last) + dt.timedelta(minutes=1)
    found = executions_of(span.date, span.date, filters.jobs()).filter(started_at__gte=start, started_at__lt=end)
    return list(found.select_related("job__pic_team").order_by("started_at", "id")[: _ROWS + 1])


def _coming(span: Span, filters: Filters) -> list[tuple[int, Job]]:
    """The jobs that are due in the rest of a span, with their minute, in the order of time; up to 201."""
    first = max(span.first, _first_left(span.date))
    runs = _runs(span.date, filters, first, span.last, ())
    single = (row for row in _single_runs(span.date, filters, first) if row[0] <= span.last)
    return sorted([*islice(runs, _ROWS + 1), *single], key=lambda row: row[0])


def _first_left(date: dt.date) -> int:
    """The first minute of a day that is still to come; beyond its last one if none is."""
    now = timezone.now().astimezone(settings.SCHEDULER_ZONE)
    if date < now.date():
        return 24 * 60
    return now.hour * 60 + now.minute + 1 if date == now.date() else 0


def _runs(
    date: dt.date, filters: Filters, first: int, last: int, without: Collection[str]
) -> Iterator[tuple[int, Job]]:
    """The runs within some minutes of a day by the jobs' schedules, but those of some expressions; by name."""
    if first > last:
        return iter(())
    jobs = _around(filters, date)
    due = {
        group.schedule.expression
        for group in forecast.groups(jobs, "is_active")
        if group.schedule.expression not in without
        and any(first <= minute <= last for minute in group.minutes_of(date))
    }
    found = jobs.filter(cron_expression__in=due).select_related("pic_team", "calendar").order_by("name")
    return (row for row in forecast.runs_of(found.iterator(500), date) if first <= row[0] <= last)


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
    frequent = {group.schedule.expression for group in groups if group.is_frequent}
    minutes: defaultdict[int, dict[str, Any]] = defaultdict(lambda: {"jobs": {}, "counts": defaultdict(int), "due": 0})
    ran = executions_of(date, date, filters.jobs()).exclude(job__cron_expression__in=frequent)
    read = ran.order_by("-started_at").values_list("job", "job__name", "status", "scheduled_for", "started_at")
    for pk, name, status, scheduled_for, started_at in read[:_READ]:
        local = timezone.localtime(scheduled_for or started_at)
        row = minutes[local.hour * 60 + local.minute if local.date() == date else 0]
        row["jobs"][pk] = name
        row["counts"][status] += 1
    for minute, job in _due(date, filters, frequent):
        minutes[minute]["jobs"][job.pk] = job.name
        minutes[minute]["due"] += 1
    return {
        "date": date,
        "rows": [_row(minute, minutes[minute]) for minute in sorted(minutes)],
        "frequent": sum(group.jobs for group in groups if group.is_frequent),
        "before": date - dt.timedelta(days=1),
        "after": date + dt.timedelta(days=1),
    }


def _due(date: dt.date, filters: Filters, frequent: set[str]) -> Iterator[tuple[int, Job]]:
    first = _first_left(date)
    yield from islice(_runs(date, filters, first, 24 * 60 - 1, frequent), _READ)
    yield from _single_runs(date, filters, first)


def _row(minute: int, found: dict[str, Any]) -> dict[str, Any]:
    names = sorted(found["jobs"].items(), key=lambda item: item[1].lower())
    counts = dict(found["counts"])
    return {
        "minute": minute,
        "at": f"{minute // 60:02d}:{minute % 60:02d}",
        "jobs": [(name, reverse("admin:jobs_job_view", args=[pk])) for pk, name in names[:_NAMES]],
        "more": max(0, len(names) - _NAMES),
        "kind": worst(counts) or "expected",
        "ran": sum(counts.values()),
        "failed": counts.get(Status.FAILED, 0),
        "due": found["due"],
    }
