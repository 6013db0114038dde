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
from console import charts, records
from console.admin.lists import NullsLast
from console.situations import situation, state_of
from console.templatetags.console import duration, moment
from core.api.timestamps import zone_name
from core.masking import masked_text
from core.sentences import said
from executions.models import OPEN, Status
from executions.targets import DeliverableTarget
from jobs.models import ENDING_SOON, Job, today
from jobs.schedules.schedule import CronError


@admin.display(description=gettext_lazy("Name"), ordering="name")
def name(self: Any, job: Job) -> str:
    return job.name


@admin.display(description=gettext_lazy("State"), ordering="is_active")
def state(self: Any, job: Any) -> str:
    """The state of the job, from its latest runs."""
    found = situation(getattr(job, "runs", []), job)
    is_inside = bool(getattr(job, "is_inside", False))
    kind, word = state_of(job, found, is_running=job.last_status in OPEN, is_inside=is_inside)
    return format_html('<span class="cs-pill s-{}">{}</span>', kind, word)


def _button(page: str, job: Job, label: str, icon: str, key: str) -> str:
    """A button with an icon that sends a form by POST (`core/act.html`)."""
    return format_html(
        '<button type="submit" class="cs-icon cs-tiny" form="act" formaction="{}" aria-label="{}" title="{}" '
        'data-key="{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span></button>',
        reverse(page, args=[job.pk]),
        label,
        label,
        key,
        icon,
    )


@admin.display(description=gettext_lazy("Schedule"), ordering="cron_expression")
def schedule(self: Any, job: Job) -> str:
    """The schedule in words, with the expression as a tooltip."""
    try:
        words = job.schedule.describe()
    except CronError as exc:
        return format_html('<span class="cs-over" title="{}">{}</span>', said(exc), job.cron_expression)
    return format_html('<span title="{}">{}</span>', job.cron_expression, words)


@admin.display(description=gettext_lazy("Next run"), ordering=NullsLast("next_run_at"))
def next_run(self: Any, job: Job) -> str:
    """The time until the next fire time, and that time in the scheduler's zone; struck through if it does not run."""
    if job.next_run_at is None:
        return "—"
    there = job.next_run_at.astimezone(settings.SCHEDULER_ZONE)
    exact, kept_from = f"{there:%Y-%m-%d %H:%M} {zone_name()}", getattr(job, "kept_from", "")
    if kept_from:
        return format_html(
            '<s title="{}: {}"><time datetime="{}">{}</time></s><span class="cs-sr"> {}</span>',
            exact, kept_from, there.isoformat(), _distance(job), kept_from,
        )  # fmt: skip
    return format_html('<time datetime="{}" title="{}">{}</time>', there.isoformat(), exact, _distance(job))


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
    latest = runs[-1].id if runs else None
    url = (
        reverse("admin:executions_execution_change", args=[latest])
        if latest
        else f"{reverse('admin:executions_execution_changelist')}?job={job.pk}"
    )
    shown = outcome(job.last_status, is_short=bool(took) and job.last_status == Status.SUCCESS)
    return format_html('<a href="{}">{}{}</a>', url, shown, f" {took}" if took else "")


def outcome(status: str, *, is_short: bool = False) -> SafeString:
    """An outcome as a coloured dot and a word; `is_short`: the word is for screen readers only."""
    return format_html(
        '<span class="cs-dot s-{}"><span class="{}">{}</span></span>',
        status,
        "cs-sr" if is_short else "",
        Status(status).label,
    )


@admin.display(description=gettext_lazy("Last 20"))
def recent(self: Any, job: Any) -> str:
    """The latest runs as columns: the height is the duration, the colour the outcome."""
    runs = getattr(job, "runs", [])
    if not runs:
        return "—"
    bars = [(bar["x"], bar["y"], bar["height"], bar["status"]) for bar in charts.spark(runs)]
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
    days = (job.end_date - today(job.shown_zone)).days
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
    """Buttons that run the job, and disable or enable it, for users who may; a link to its form."""
    if not getattr(job, "may_touch", False):
        return ""
    page, icon, label = (
        ("disable", "pause", _("Disable %(name)s")) if job.is_active else ("enable", "toggle_on", _("Enable %(name)s"))
    )
    run = _button("admin:jobs_job_run", job, _("Run %(name)s now") % {"name": job.name}, "play_arrow", "r")
    switch = _button(f"admin:jobs_job_{page}", job, label % {"name": job.name}, icon, "p")
    edit = format_html(
        '<a class="cs-icon cs-tiny" href="{}" aria-label="{}" title="{}" data-key="e"><span '
        'class="material-symbols-outlined" aria-hidden="true">edit</span></a>',
        reverse("admin:jobs_job_change", args=[job.pk]),
        (label := _("Edit %(name)s") % {"name": job.name}),
        label,
    )
    return run + switch + edit


@admin.display(description=gettext_lazy("Target"))
def target(self: Any, job: Job) -> str:
    """The target, with secret parts masked."""
    try:
        found = job.target
    except ValueError:
        return masked_text(job.target_url)
    return found.shown() if isinstance(found, DeliverableTarget) else str(found)


@admin.display(description=gettext_lazy("Last run"), ordering=NullsLast("last_execution_at"))
def last_execution(self: Any, job: Job) -> str:
    return moment(job.last_execution_at)


@admin.display(description=gettext_lazy("Difference"))
def changes(self: Any, record: ChangeRecord) -> str:
    """Each changed field with its values before and after, or the details of an event."""
    lines = (
        (line.label, line.after if line.before is None else f"{line.before} → {line.after}")
        for line in records.lines_of(record)
    )
    return format_html_join("", "<div>{}: {}</div>", lines) or "—"
