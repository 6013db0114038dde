"""The dashboard: the state of the installation, in a constant number of queries."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from console import charts, forecast
from console.job_conditions import conditions
from executions.models import Execution, Status
from executions.statistics import queries, rollups
from jobs.models import Job
from notifications.models import Message, MessageStatus
from scheduler.models import Leadership

_AHEAD_MINUTES = 60


def dashboard(user: User) -> dict[str, Any]:
    """The values of the page for a user. Each number covers the same period as its chart and the list that it links
    to.
    """
    now = timezone.now()
    zone = settings.SCHEDULER_ZONE
    week_ago = dt.datetime.combine(now.astimezone(zone).date() - dt.timedelta(days=6), dt.time(), zone)
    hours = rollups.by_hour(week_ago)
    day_ago = queries.since_hours(23)
    last_day = {hour: counts for hour, counts in hours.items() if hour >= day_ago}
    groups = forecast.groups(Job.objects.all(), "is_active")
    return {
        "now": now,
        "health": _health(now),
        "day": _period(last_day.values(), day_ago),
        "week": _period(hours.values(), week_ago),
        "day_chart": charts.stacked(charts.hours(last_day, 24), _("Runs of the last 24 hours by outcome")),
        "week_chart": charts.stacked(charts.days(hours, 7), _("Runs of the last 7 days by outcome")),
        "coming": charts.timeline(forecast.next_minutes(groups, _AHEAD_MINUTES)),
        "failing": [_named(row) for row in rollups.most_failing(week_ago)],
        "slowest": [_named(row) for row in rollups.slowest(now - dt.timedelta(days=1))],
        "week_ago": _local(week_ago),
        "attention": _attention(now, user),
    }


def _health(now: dt.datetime) -> dict[str, Any]:
    leadership = Leadership.current()
    which = conditions()
    late = Job.objects.filter(which["late"]).count()
    lag = queries.fire_lag(now - dt.timedelta(hours=1))
    return {
        "leader": leadership.leader_id if leadership.is_live else "",
        "heartbeat_age": leadership.heartbeat_age,
        "on_the_clock": Job.objects.filter(which["clock"]).count(),
        "schedules": leadership.schedules,
        "lag": lag,
        "open": queries.open_count(),
        "late": late,
        "is_well": leadership.is_live and not late,
        "waits": _waits(),
    }


def _waits() -> list[tuple[str, int]]:
    """What open executions wait for, and how many do."""
    labels = {
        "worker": _("a worker"),
        "limit": _("a concurrency limit"),
        "retry": _("a retry"),
        "jitter": _("their jitter"),
        "turn": _("their turn"),
    }
    counts = queries.waits()
    return [(label, counts[name]) for name, label in labels.items() if counts[name]]


def _local(moment: dt.datetime) -> str:
    """A datetime as a parameter of the list of executions."""
    return f"{moment.astimezone(settings.SCHEDULER_ZONE):%Y-%m-%dT%H:%M}"


def _period(counts: Any, since: dt.datetime) -> dict[str, Any]:
    added = queries.total(counts)
    success, failed = added.get(Status.SUCCESS, 0), added.get(Status.FAILED, 0)
    ended = success + failed
    return {
        "since": _local(since),
        "total": sum(added.values()),
        "failed": failed,
        "rate": round(100 * success / ended, 1) if ended else None,
    }


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "url": reverse("admin:jobs_job_change", args=[row["job_id"]])}


def _attention(now: dt.datetime, user: User) -> list[dict[str, Any]]:
    """What needs attention: a label, a number, and a link to the list."""
    kinds = ("failing", "problem", "ending", "idle", "ended", "unknown_team")
    which = conditions()
    counts = Job.objects.aggregate(**{kind: Count("id", filter=which[kind]) for kind in kinds})
    failed = Execution.objects.filter(status=Status.FAILED, started_at__gte=now - dt.timedelta(days=1)).count()
    stuck = Message.objects.filter(status=MessageStatus.FAILED).count()
    jobs, executions = reverse("admin:jobs_job_changelist"), reverse("admin:executions_execution_changelist")
    messages = reverse("admin:notifications_message_changelist")
    found = [
        _item(_("Failing now"), counts["failing"], jobs, "bad", attention="failing"),
        _item(_("Runs failed in 24 hours"), failed, executions, "bad", status__exact="failed", age="day"),
        _item(_("Cannot be fired"), counts["problem"], jobs, "bad", attention="problem"),
        _item(_("Messages not delivered"), stuck, messages, "bad", status__exact="failed"),
        _item(_("Ending within 30 days"), counts["ending"], jobs, "warn", attention="ending"),
        _item(_("Active without a next run"), counts["idle"], jobs, "warn", attention="idle"),
        _item(_("Paused by their end date"), counts["ended"], jobs, "note", attention="ended"),
        _item(_("Team disabled"), counts["unknown_team"], jobs, "warn", attention="unknown_team"),
    ]  # fmt: skip
    return [
        item for item in found if user.has_perm("notifications.view_message") or not item["url"].startswith(messages)
    ]


def _item(label: str, count: int, base: str, level: str, **query: str) -> dict[str, Any]:
    return {"label": label, "count": count, "url": f"{base}?{urlencode(query)}", "level": level if count else "ok"}
