"""Is everything all right? The numbers of the admin's first page, in a constant number of queries."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console import charts, forecast
from executions import history
from executions.models import Execution, Status
from jobs.models import Job
from notifications.models import Message, MessageStatus
from scheduler.models import Leadership
from taxonomy.models import PicTeam

_SOON = dt.timedelta(days=30)
_LATE = dt.timedelta(seconds=10)
_AHEAD_MINUTES = 60


def dashboard() -> dict[str, Any]:
    """Everything that the page shows."""
    now = timezone.now()
    hours = history.by_hour(history.since_hours(24 * 7))
    day_ago = history.since_hours(23)
    last_day = {hour: counts for hour, counts in hours.items() if hour >= day_ago}
    groups = forecast.groups(Job.objects.all(), "is_active")
    return {
        "now": now,
        "health": _health(now),
        "day": _period(last_day.values()),
        "week": _period(hours.values()),
        "day_chart": charts.stacked(charts.hours(last_day, 24), _("Runs of the last 24 hours by outcome")),
        "week_chart": charts.stacked(charts.days(hours, 7), _("Runs of the last 7 days by outcome")),
        "coming": charts.timeline(forecast.next_minutes(groups, _AHEAD_MINUTES)),
        "failing": [_named(row) for row in history.most_failing(now - dt.timedelta(days=7))],
        "slowest": [_named(row) for row in history.slowest(now - dt.timedelta(days=1))],
        "attention": _attention(now),
    }


def _health(now: dt.datetime) -> dict[str, Any]:
    leadership = Leadership.current()
    late = Job.objects.filter(is_active=True, next_run_at__lt=now - _LATE).count()
    lag = history.fire_lag(now - dt.timedelta(hours=1))
    return {
        "leader": leadership.leader_id if leadership.is_live else "",
        "heartbeat_age": leadership.heartbeat_age,
        "on_the_clock": Job.objects.filter(is_active=True, next_run_at__isnull=False).count(),
        "schedules": leadership.schedules,
        "lag": lag,
        "open": history.open_count(),
        "late": late,
        "is_well": leadership.is_live and not late,
    }


def _period(counts: Any) -> dict[str, Any]:
    added = history.total(counts)
    success, failed = added.get(Status.SUCCESS, 0), added.get(Status.FAILED, 0)
    ended = success + failed
    return {
        "total": sum(added.values()),
        "success": success,
        "failed": failed,
        "other": sum(added.values()) - ended,
        "rate": round(100 * success / ended, 1) if ended else None,
    }


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "url": reverse("admin:jobs_job_change", args=[row["job_id"]])}


def _attention(now: dt.datetime) -> list[dict[str, Any]]:
    """What somebody should look at: a label, how many, and the list behind the number."""
    today = now.astimezone(settings.SCHEDULER_ZONE).date()
    active = Q(is_active=True)
    ends = active & Q(end_date__gte=today, end_date__lte=today + _SOON)
    counts = Job.objects.aggregate(
        failing=Count("id", filter=active & Q(last_status=Status.FAILED)),
        ending=Count("id", filter=ends),
        idle=Count("id", filter=active & Q(next_run_at__isnull=True)),
        problem=Count("id", filter=~Q(problem="")),
        ended=Count("id", filter=Q(is_active=False, end_date__lt=today)),
        unknown=Count("id", filter=active & Q(pic_team__in=PicTeam.objects.filter(is_active=False))),
    )
    failed = Execution.objects.filter(status=Status.FAILED, started_at__gte=now - dt.timedelta(days=1)).count()
    stuck = Message.objects.filter(status=MessageStatus.FAILED).count()
    jobs, executions = reverse("admin:jobs_job_changelist"), reverse("admin:executions_execution_changelist")
    messages = reverse("admin:notifications_message_changelist")
    return [
        _item(_("Failing now"), counts["failing"], jobs, "bad", attention="failing"),
        _item(_("Runs failed in 24 hours"), failed, executions, "bad", status__exact="failed", age="day"),
        _item(_("Cannot be fired"), counts["problem"], jobs, "bad", attention="problem"),
        _item(_("Messages not delivered"), stuck, messages, "bad", status__exact="failed"),
        _item(_("Ending within 30 days"), counts["ending"], jobs, "warn", attention="ending"),
        _item(_("Active without a next run"), counts["idle"], jobs, "warn", attention="idle"),
        _item(_("Paused by their end date"), counts["ended"], jobs, "note", attention="ended"),
        _item(_("Team disabled"), counts["unknown"], jobs, "warn", attention="unknown_team"),
    ]  # fmt: skip


def _item(label: str, count: int, base: str, level: str, **query: str) -> dict[str, Any]:
    return {"label": label, "count": count, "url": f"{base}?{urlencode(query)}", "level": level if count else "ok"}
