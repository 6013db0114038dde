"""Columns of the admin lists."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit.models import ChangeRecord
from console.templatetags.console import duration
from core.api.timestamps import zone_name
from executions.models import Status
from jobs.models import ENDING_SOON, Job, today
from jobs.schedules.schedule import CronError

_SPARK_HEIGHT = 20


@admin.display(description=gettext_lazy("Name"), ordering="name")
def name(self: Any, job: Job) -> str:
    return job.name


@admin.display(description=gettext_lazy("State"), ordering="is_active")
def state(self: Any, job: Any) -> str:
    """Whether the job is active, with a button that changes it for users who may."""
    kind = "s-failed" if job.problem else "s-success" if job.is_active else ""
    dot = format_html('<span class="cs-dot {}">{}</span>', kind, _("Active") if job.is_active else _("Inactive"))
    if not getattr(job, "may_touch", False):
        return dot
    page, action = ("disable", _("Disable %(name)s")) if job.is_active else ("enable", _("Enable %(name)s"))
    return _button(f"admin:jobs_job_{page}", job, action % {"name": job.name}, dot)


def _button(page: str, job: Job, label: str, content: str) -> str:
    """A button that sends a form by POST (`core/act.html`)."""
    return format_html(
        '<button type="submit" class="cs-button cs-small" form="act" formaction="{}" aria-label="{}">{}</button>',
        reverse(page, args=[job.pk]),
        label,
        content,
    )


@admin.display(description=gettext_lazy("Schedule"), ordering="cron_expression")
def schedule(self: Any, job: Job) -> str:
    """The schedule in words, with the expression as a tooltip."""
    try:
        words = job.schedule.describe()
    except CronError as exc:
        return format_html('<span class="cs-over" title="{}">{}</span>', str(exc), job.cron_expression)
    return format_html('<span title="{}">{}</span>', job.cron_expression, words)


@admin.display(description=gettext_lazy("Next run"), ordering="next_run_at")
def next_run(self: Any, job: Job) -> str:
    """The time until the next fire time, and that time in the scheduler's zone."""
    if job.next_run_at is None:
        return "—"
    there = job.next_run_at.astimezone(settings.SCHEDULER_ZONE)
    return format_html('<span title="{} {}">{}</span>', f"{there:%Y-%m-%d %H:%M}", zone_name(), _distance(job))


def _distance(job: Job) -> str:
    assert job.next_run_at
    there = job.next_run_at.astimezone(settings.SCHEDULER_ZONE)
    seconds = (job.next_run_at - timezone.now()).total_seconds()
    if seconds < 0:
        return _("due")
    if seconds < 90 * 60:
        minutes = max(1, round(seconds / 60))
        return ngettext("in %(count)d min", "in %(count)d min", minutes) % {"count": minutes}
    day = (there.date() - today()).days
    if day == 0:
        return f"{there:%H:%M}"
    return _("tomorrow %(time)s") % {"time": f"{there:%H:%M}"} if day == 1 else f"{there:%m-%d %H:%M}"


@admin.display(description=gettext_lazy("Last outcome"), ordering="last_status")
def last_outcome(self: Any, job: Any) -> str:
    if not job.last_status:
        return "—"
    runs = getattr(job, "runs", [])
    took = duration(runs[-1].duration_seconds) if runs and runs[-1].duration_seconds is not None else ""
    url = f"{reverse('admin:executions_execution_changelist')}?job={job.pk}"
    return format_html('<a href="{}">{}</a> {}', url, outcome(job.last_status), took)


def outcome(status: str) -> SafeString:
    """An outcome as a coloured dot and a word."""
    return format_html('<span class="cs-dot s-{}">{}</span>', status, Status(status).label)


@admin.display(description=gettext_lazy("Last 20"))
def recent(self: Any, job: Any) -> str:
    """The latest runs as columns: the height is the duration, the colour the outcome."""
    runs = getattr(job, "runs", [])
    if not runs:
        return "—"
    longest = max((run.duration_seconds or 0 for run in runs), default=0) or 1
    bars = []
    for number, run in enumerate(runs):
        height = max(3.0, _SPARK_HEIGHT * (run.duration_seconds or 0) / longest)
        bars.append((number * 4, f"{_SPARK_HEIGHT - height:.1f}", f"{height:.1f}", run.status))
    failed = sum(run.status == Status.FAILED for run in runs)
    label = ngettext("%(count)d run, %(failed)d failed", "%(count)d runs, %(failed)d failed", len(runs))
    return format_html(
        '<svg class="cs-spark" viewBox="0 0 80 20" role="img" aria-label="{}">{}</svg>',
        label % {"count": len(runs), "failed": failed},
        format_html_join("", '<rect x="{}" y="{}" width="3" height="{}" class="s-{}"/>', bars),
    )


@admin.display(description=gettext_lazy("End date"), ordering="end_date")
def ends(self: Any, job: Job) -> str:
    """The end date, coloured if it is near or past."""
    days = (job.end_date - today()).days
    if days > ENDING_SOON.days:
        return f"{job.end_date:%Y-%m-%d}"
    kind, hint = (
        ("cs-over", _("has passed"))
        if days < 0
        else ("cs-soon", ngettext("%(count)d day left", "%(count)d days left", days) % {"count": days})
    )
    return format_html('<span class="{}" title="{}">{}</span>', kind, hint, f"{job.end_date:%Y-%m-%d}")


@admin.display(description="")
def run_button(self: Any, job: Any) -> str:
    if not getattr(job, "may_touch", False):
        return ""
    return _button("admin:jobs_job_run", job, _("Run %(name)s now") % {"name": job.name}, _("Run now"))


@admin.display(description=gettext_lazy("Difference"))
def changes(self: Any, record: ChangeRecord) -> str:
    """Each changed field with its values before and after."""
    lines = ((name, _shown(before), _shown(after)) for name, (before, after) in record.difference.items())
    return format_html_join("", "<div>{}: {} → {}</div>", lines) or "—"


def _shown(value: Any) -> str:
    return "—" if value in ("", None, [], {}) else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
