"""A day of the calendar: past and coming fire times as tracks of 24 hours."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Max, QuerySet
from django.urls import reverse
from django.utils import timezone

from console import forecast, kept
from console.pages import budget_forecast, host_forecast
from console.pages.calendar import Filters, executions_of, executions_url, fewest_minutes, local_hour_of, most, worst
from executions.batches import single_run
from executions.models import Status
from executions.statistics.queries import minute_of, read_utc
from jobs.models import Job
from taxonomy.models import PicTeam
from windows.models import Window

# Up to this number, each job has its own track; above it, each team has one.
TRACKS = 40
# Marks within this many minutes are merged: as few as leave at most so many marks on a page.
_CLUSTER_MINUTES = (10, 20, 30, 60)
_MOST_MARKS = 1000
_MOST_WINDOWS = 20


class Mark(NamedTuple):
    """Neighbouring fire times: start in minutes after midnight, length in minutes, outcome, count, and the linked
    page.

    `bad` is the share of failures, 0 to 1, so that a few failures among hundreds do not colour an hour red.
    """

    x: int
    width: float
    kind: str
    fires: int
    title: str
    url: str
    bad: float = 0


class Track(NamedTuple):
    """One row of a day: the fire times of a job or a team. `is_band`: a frequent job, whose marks are hours."""

    label: str
    url: str
    is_band: bool
    marks: list[Mark]


def day(date: dt.date, filters: Filters) -> dict[str, Any]:
    """The tracks of a day, and the current time in minutes after midnight (None on other days)."""
    jobs = filters.jobs()
    by_job = kept.until_edited(("number", str(jobs.query)), jobs.count) <= TRACKS
    lane = "pk" if by_job else "pic_team_id"
    groups = forecast.groups(jobs, lane)
    frequent = {group.schedule.expression for group in groups if group.is_frequent}
    labels = dict((jobs if by_job else PicTeam.objects).order_by().values_list("pk", "name"))
    now = timezone.now().astimezone(settings.SCHEDULER_ZONE)
    bands = _bands(date, jobs, groups, now, filters)
    tracks = _windows(date) + bands + _tracks(date, jobs, groups, frequent, labels, by_job, now, filters)
    return {
        "date": date,
        "tracks": tracks,
        "by_job": by_job,
        "now": now.hour * 60 + now.minute if now.date() == date else None,
        "hours": [{"number": hour, "begin": hour * 60, "end": hour * 60 + 59} for hour in range(24)],
        "waits": budget_forecast.crowds(date) + host_forecast.crowds(date),
        "before": date - dt.timedelta(days=1),
        "after": date + dt.timedelta(days=1),
    }


def _windows(date: dt.date) -> list[Track]:
    """One track for each window of a day."""
    start, end = forecast.bounds(date)
    tracks = []
    windows = Window.objects.not_over(start).filter(starts_at__lt=end).order_by("starts_at", "name")
    for window in windows[:_MOST_WINDOWS]:
        url = reverse("admin:windows_window_change", args=[window.pk])
        title = f"{window.title} · {window.get_effect_display()}"
        marks = [
            Mark(_minutes(one - start), max(_minutes(until - one), 1), "window", 0, title, url)
            for one, until in window.periods(start, end)
        ]
        if marks:
            tracks.append(Track(window.title, url, True, marks))
    return tracks


def _minutes(length: dt.timedelta) -> int:
    return int(length.total_seconds() // 60)


def _bands(
    date: dt.date, jobs: QuerySet[Job], groups: list[forecast.Group], now: dt.datetime, filters: Filters
) -> list[Track]:
    """One track for each frequent expression; each hour has the colour of its outcomes."""
    by_expression: defaultdict[str, list[forecast.Group]] = defaultdict(list)
    for group in groups:
        if group.is_frequent:
            by_expression[group.schedule.expression].append(group)
    past: defaultdict[str, defaultdict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    if by_expression:
        rows = (
            executions_of(date, date, jobs)
            .filter(job__cron_expression__in=by_expression)
            .values_list("job__cron_expression", local_hour_of("started_at", date), "status")
            .annotate(count=Count("id"))
        )
        for expression, text, status, count in rows:
            past[expression][read_utc(text).astimezone(settings.SCHEDULER_ZONE).hour][status] += count
    tracks = []
    for expression, same in sorted(by_expression.items()):
        count = sum(group.jobs for group in same)
        which = {**filters.lookups(), "job__cron_expression": expression}
        marks = _band_marks(date, same, past[expression], now, which, filters)
        if not marks:
            continue
        url = f"{reverse('admin:jobs_job_changelist')}?{urlencode({'cron_expression': expression})}"
        tracks.append(Track(f"{same[0].schedule.describe()} × {count}", url, True, marks))
    return tracks


def _band_marks(
    date: dt.date,
    same: list[forecast.Group],
    past: Mapping[int, Counter[str]],
    now: dt.datetime,
    which: dict[str, str],
    filters: Filters,
) -> list[Mark]:
    fires = {minute // 60 for group in same for minute in group.minutes_of(date)}
    marks = []
    for hour in range(24):
        counts: dict[str, int] = dict(past.get(hour, {}))
        is_past = (date, hour) < (now.date(), now.hour)
        told = {status: count for status, count in counts.items() if status != Status.FAILED} or counts
        kind = most(told) or ("" if is_past or hour not in fires else "expected")
        if kind:
            ran = sum(counts.values())
            first, last = hour * 60, hour * 60 + 59
            url = executions_url(date, first, last, **which) if ran else filters.panel(date, first, last)
            bad = counts.get(Status.FAILED, 0) / ran if ran else 0
            # The present hour is as long as it has been so far; the rest is expected.
            is_now = (date, hour) == (now.date(), now.hour) and ran
            width = max(2, now.minute) if is_now else 59
            marks.append(Mark(hour * 60, width, kind, ran, _title(counts, f"{hour:02d}:00"), url, round(bad, 3)))
            if is_now and width < 59:
                rest = filters.panel(date, first + width, last)
                marks.append(Mark(first + width, 59 - width, "expected", 0, _title({}, f"{hour:02d}:00"), rest))
    return marks


def _tracks(
    date: dt.date,
    jobs: QuerySet[Job],
    groups: list[forecast.Group],
    frequent: set[str],
    labels: dict[Any, str],
    by_job: bool,
    now: dt.datetime,
    filters: Filters,
) -> list[Track]:
    past = _past_fires(date, jobs, frequent, by_job)
    coming = _coming_fires(date, jobs, groups, now, by_job) if date >= now.date() else {}
    base = reverse("admin:jobs_job_changelist")
    minutes = [{fire[0] for fire in fires} for fires in past.values()] + [set(fires) for fires in coming.values()]
    apart = fewest_minutes(_CLUSTER_MINUTES, minutes, _MOST_MARKS)
    return [
        Track(
            label,
            reverse("admin:jobs_job_view", args=[key]) if by_job else f"{base}?pic_team__id__exact={key}",
            False,
            _past_marks(date, _clusters(past.get(key, []), apart), filters)
            + _coming_marks(date, _clusters(coming.get(key, {}).items(), apart), filters),
        )
        for key, label in sorted(labels.items(), key=lambda item: item[1].lower())
        if key in past or key in coming
    ]


def _past_fires(
    date: dt.date, jobs: QuerySet[Job], frequent: set[str], by_job: bool
) -> dict[Any, list[tuple[int, str, int, float]]]:
    """Of each lane: minute, outcome, number and longest duration in seconds."""
    rows = (
        executions_of(date, date, jobs)
        .exclude(job__cron_expression__in=frequent)
        .values_list("job_id" if by_job else "job__pic_team_id", minute_of("started_at"), "status")
        .annotate(Count("id"), Max("duration_seconds"))
    )
    past: defaultdict[Any, list[tuple[int, str, int, float]]] = defaultdict(list)
    # Lanes share minutes, and a day has few of them.
    minute_by_text = cache(_local_minute)
    for key, text, status, count, longest in rows:
        past[key].append((minute_by_text(text), status, count, longest or 0.0))
    return past


def _coming_fires(
    date: dt.date, jobs: QuerySet[Job], groups: list[forecast.Group], now: dt.datetime, by_job: bool
) -> dict[Any, defaultdict[int, int]]:
    """Of each lane: how many jobs fire in which minute."""
    coming: defaultdict[Any, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    passed = now.hour * 60 + now.minute if date == now.date() else -1
    for group in groups:
        if not group.is_frequent:
            for minute in group.minutes_of(date):
                if minute > passed:
                    coming[group.lane][minute] += group.jobs
    begin, end = forecast.bounds(date)
    for one in single_run.coming(jobs, max(begin, now), end):
        local = one.at.astimezone(settings.SCHEDULER_ZONE)
        coming[one.job.pk if by_job else one.job.pic_team_id][local.hour * 60 + local.minute] += 1
    return coming


def _local_minute(text: str) -> int:
    local = read_utc(text).astimezone(settings.SCHEDULER_ZONE)
    return local.hour * 60 + local.minute


def _past_marks(date: dt.date, clusters: Iterator[list[Any]], filters: Filters) -> list[Mark]:
    marks = []
    for cluster in clusters:
        counts: defaultdict[str, int] = defaultdict(int)
        for _, status, count, _ in cluster:
            counts[status] += count
        first, last = cluster[0][0], cluster[-1][0]
        width = max(last - first + 4.0, max(longest for *_, longest in cluster) / 60)
        title = _title(counts, f"{first // 60:02d}:{first % 60:02d}")
        marks.append(
            Mark(first, round(width, 1), worst(counts), sum(counts.values()), title, filters.panel(date, first, last))
        )
    return marks


def _coming_marks(date: dt.date, clusters: Iterator[list[Any]], filters: Filters) -> list[Mark]:
    marks = []
    for cluster in clusters:
        first, last = cluster[0][0], cluster[-1][0]
        count = sum(number for _, number in cluster)
        title = f"{first // 60:02d}:{first % 60:02d} · {count}"
        marks.append(Mark(first, last - first + 4.0, "expected", count, title, filters.panel(date, first, last)))
    return marks


def _clusters(fires: Iterable[Any], apart: int) -> Iterator[list[Any]]:
    """Groups of fire times that are within so many minutes of their first one."""
    cluster: list[Any] = []
    for fire in sorted(fires):
        if cluster and fire[0] - cluster[0][0] >= apart:
            yield cluster
            cluster = []
        cluster.append(fire)
    if cluster:
        yield cluster


def _title(counts: dict[str, int], at: str) -> str:
    told = ", ".join(f"{Status(status).label}: {count}" for status, count in sorted(counts.items()))
    return f"{at} · {told}" if told else at
