"""A week of the calendar: past and coming fire times as a grid of hours."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone

from console import forecast
from console.pages.calendar import Filters, executions_of, has_whole_hours, heat, is_filtered, worst
from executions.batches import single_run
from executions.models import Status
from executions.statistics import rollups
from executions.statistics.queries import minute_of, read_utc
from jobs.models import Job


def week(date: dt.date, filters: Filters) -> dict[str, Any]:
    """The grid of a week, Monday first: for each hour executions by outcome, and the number of coming fire times."""
    monday = date - dt.timedelta(days=date.weekday())
    days = [monday + dt.timedelta(days=number) for number in range(7)]
    jobs = filters.jobs()
    groups = forecast.groups(jobs, "is_active")
    frequent = [group for group in groups if group.is_frequent]
    past = _past_hours(days, jobs, {group.schedule.expression for group in frequent})
    now = timezone.now().astimezone(settings.SCHEDULER_ZONE)
    expected = _expected(days, jobs, groups, now)
    return {
        "days": [{"date": one, "is_today": one == now.date()} for one in days],
        "rows": [
            {
                "hour": hour,
                "cells": [
                    {
                        "date": one,
                        "worst": worst(past.get((one, hour), {})),
                        "heat": heat(past.get((one, hour), {})),
                        "url": filters.panel(one, hour * 60, hour * 60 + 59, view="week"),
                        "ran": sum(past.get((one, hour), {}).values()),
                        "failed": past.get((one, hour), Counter())[Status.FAILED],
                        "expected": expected.get((one, hour), 0),
                        "is_now": one == now.date() and hour == now.hour,
                    }
                    for one in days
                ],
            }
            for hour in range(24)
        ],
        "frequent": sum(group.jobs for group in frequent),
        "frequent_fires": round(sum(group.jobs * len(group.minutes_of(one)) for group in frequent for one in days) / 7),
        "before": monday - dt.timedelta(days=7),
        "after": monday + dt.timedelta(days=7),
    }


def _expected(
    days: list[dt.date], jobs: QuerySet[Job], groups: list[forecast.Group], now: dt.datetime
) -> dict[tuple[dt.date, int], int]:
    """The number of coming fire times in each hour, without those of frequent jobs."""
    expected: defaultdict[tuple[dt.date, int], int] = defaultdict(int)
    for group in groups:
        if not group.is_frequent:
            for one in days:
                for minute in group.minutes_of(one) if one >= now.date() else ():
                    if one > now.date() or minute > now.hour * 60 + now.minute:
                        expected[one, minute // 60] += group.jobs
    begin, end = forecast.bounds(days[0], days[-1])
    for run in single_run.coming(jobs, max(begin, now), end):
        local = run.at.astimezone(settings.SCHEDULER_ZONE)
        expected[local.date(), local.hour] += 1
    return expected


def _past_hours(
    days: list[dt.date], jobs: QuerySet[Job], frequent: set[str]
) -> dict[tuple[dt.date, int], Counter[str]]:
    """The executions by outcome in each hour of the zone's clock, without those of frequent jobs."""
    found: defaultdict[tuple[dt.date, int], Counter[str]] = defaultdict(Counter)
    for moment, counts in _past_by_time(days, jobs, frequent):
        local = moment.astimezone(settings.SCHEDULER_ZONE)
        found[local.date(), local.hour].update(counts)
    return dict(found)


def _past_by_time(
    days: list[dt.date], jobs: QuerySet[Job], frequent: set[str]
) -> Iterator[tuple[dt.datetime, Counter[str]]]:
    if has_whole_hours(days[0]):
        begin, end = forecast.bounds(days[0], days[-1])
        found = rollups.by_hour(begin, jobs if is_filtered(jobs) else None, until=end)
        less = rollups.by_hour(begin, jobs.filter(cron_expression__in=frequent), until=end) if frequent else {}
        for hour, counts in found.items():
            yield hour, Counter(counts) - Counter(less.get(hour, {}))
    else:
        executions = executions_of(days[0], days[-1], jobs).exclude(job__cron_expression__in=frequent)
        for text, status, count in executions.values_list(minute_of("started_at"), "status").annotate(Count("id")):
            yield read_utc(text), Counter({status: count})
