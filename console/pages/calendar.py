"""What the pages of the calendar share: filters, outcomes of a time, and addresses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from console import date_params, forecast
from executions.models import Execution, Status
from executions.statistics.queries import UtcText, hour_of, minute_of
from jobs.models import Job, today

_WORST = (Status.FAILED, Status.MISSED, Status.RUNNING, Status.QUEUED, Status.SKIPPED, Status.CANCELLED, Status.SUCCESS)


class Filters(NamedTuple):
    """The filters of the calendar."""

    team: str = ""
    category: str = ""

    def jobs(self) -> QuerySet[Job]:
        jobs = Job.objects.all()
        jobs = jobs.filter(pic_team__slug=self.team) if self.team else jobs
        return jobs.filter(category__slug=self.category) if self.category else jobs

    def panel(self, date: dt.date, first: int, last: int, *, view: str = "day") -> str:
        """The query of the page with the jobs of some minutes after midnight."""
        query = {"view": view, "date": date, "at": first, "until": last, "team": self.team, "category": self.category}
        return "?" + urlencode({name: value for name, value in query.items() if value != ""})

    def lookups(self) -> dict[str, str]:
        """The filters as lookups on executions."""
        return {"job__pic_team__slug": self.team, "job__category__slug": self.category}


def read_day(text: str) -> dt.date:
    """The day of a query parameter; today if it is missing or invalid."""
    return date_params.read_day(text) or today()


def worst(counts: Mapping[str, int]) -> str:
    """The worst outcome, which colours a cluster."""
    return next((status.value for status in _WORST if counts.get(status)), "")


def heat(counts: Mapping[str, int]) -> int:
    """The share of failures as a step from 0 (none) to 4 (more than half)."""
    failed = counts.get(Status.FAILED, 0)
    share = failed / (failed + counts.get(Status.SUCCESS, 0)) if failed else 0.0
    return sum(share > step for step in (0, 0.05, 0.2, 0.5))


def most(counts: dict[str, int]) -> str:
    """The most frequent outcome."""
    return max(counts, key=lambda status: counts[status]) if counts else ""


def executions_of(first: dt.date, last: dt.date, jobs: QuerySet[Job]) -> QuerySet[Execution]:
    start, end = forecast.bounds(first, last)
    found = Execution.objects.filter(started_at__gte=start, started_at__lt=end).order_by()
    # Joining every job is slower than a query without the filter.
    return found.filter(job__in=jobs) if is_filtered(jobs) else found


def is_filtered(jobs: QuerySet[Job]) -> bool:
    return len(jobs.query.where.children) > len(Job.objects.all().query.where.children)


def local_hour_of(expression: str, day: dt.date) -> UtcText:
    """The part of a timestamp that decides about the hour on the zone's clock."""
    return hour_of(expression) if has_whole_hours(day) else minute_of(expression)


def has_whole_hours(day: dt.date) -> bool:
    """Whether the hours of the zone's clock are hours of UTC."""
    offset = dt.datetime.combine(day, dt.time(), settings.SCHEDULER_ZONE).utcoffset() or dt.timedelta()
    return not offset.total_seconds() % 3600


def fewest_minutes(choices: Sequence[int], lanes: Sequence[Collection[int]], most: int) -> int:
    """The first of ascending choices that leaves at most so many pieces, if so many minutes become one piece of each
    lane; the last one if none does.
    """
    for together in choices:
        if sum(len({minute // together for minute in minutes}) for minutes in lanes) <= most:
            return together
    return choices[-1]


def executions_url(date: dt.date, first: int, last: int, **which: str) -> str:
    """The URL of the executions behind a mark: its minutes, and its job or team."""
    start = dt.datetime.combine(date, dt.time(first // 60, first % 60), settings.SCHEDULER_ZONE)
    end = dt.datetime.combine(date, dt.time(last // 60, last % 60), settings.SCHEDULER_ZONE) + dt.timedelta(minutes=1)
    shape = "%Y-%m-%dT%H:%M"
    query = {"from": f"{start:{shape}}", "to": f"{end:{shape}}", **{name: one for name, one in which.items() if one}}
    return f"{reverse('admin:executions_execution_changelist')}?{urlencode(query)}"
