"""The page of a job for reading: its situation, its latest runs, its next fire times, who is told, what changed."""

from __future__ import annotations

import datetime as dt
from operator import itemgetter
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from audit.models import ChangeRecord
from console import charts, outlook, records
from console.pages import feed, report, windows
from console.situations import RUNS, situation, state_of
from core.api.timestamps import DateRange
from core.masking import url_for
from core.sentences import said
from executions.batches import single_run
from executions.models import OPEN, BatchRun, Execution, Status
from executions.runs import record
from executions.statistics import queries, rollups
from executions.targets import DeliverableTarget
from jobs.models import ENDING_SOON, Job, fire_within, not_before
from jobs.schedules.crontab import MANUALLY
from jobs.schedules.schedule import CronError, Outlook
from jobs.services import may_read_secrets, may_touch
from notifications import acknowledgements
from notifications.audience import audience, is_told_outside
from windows.cover import Cover
from windows.services import may_end

_NEXT = 5
_CHANGES = 10
_FLAKY_DAYS = 30


def context(job: Job, user: User) -> dict[str, Any]:
    """The values of the page. Twelve queries, whatever the history; one more for workflows and for callbacks."""
    now = timezone.now()
    runs = queries.latest_runs([job.pk], RUNS)[job.pk]
    state = situation(runs, job)
    ears = audience(job)
    cover = Cover.now()
    inside = cover.inside(job, now)
    return {
        "job": job,
        "may_touch": may_touch(job, user),
        "situation": state,
        "state": state_of(job, state, is_running=bool(runs) and runs[-1].status in OPEN, is_inside=inside is not None),
        "strip": charts.strip(runs),
        "durations": charts.durations(runs),
        "trend": report.trend(job, runs),
        "flaky": record.flaky_runs(job, now - dt.timedelta(days=_FLAKY_DAYS)) if job.github_repo else 0,
        "flaky_days": _FLAKY_DAYS,
        "success": [(days, _rate(job, now, days)) for days in (7, 30)],
        "last_error": _last_error(job, state.is_failing or state.is_flapping),
        "words": _words(job),
        "upcoming": _upcoming(job, now, cover),
        "days_left": _days_left(job, now),
        "is_manual": job.cron_expression == MANUALLY,
        "inside": inside,
        "feed": feed.address("job", job.pk, user),
        "muting": cover.muting(job, now),
        "pause_choices": windows.pause_choices(),
        # A window over more than this job is ended on its own page.
        "may_end": inside is not None and inside.window.is_pause_of(job) and may_end(inside.window, user),
        "next_run": outlook.local(job.next_run_at, job.shown_zone) if job.next_run_at else "",
        "next_run_iso": job.next_run_at.isoformat() if job.next_run_at else "",
        "skipped_run": outlook.local(job.skipped_run_at, job.shown_zone)
        if job.skipped_run_at and job.skipped_run_at > now
        else "",
        "target": _target(job, is_owner=may_read_secrets(job.created_by_id, user)),
        "ears": ears,
        "nobody_told": not is_told_outside(ears),
        "acknowledged": acknowledgements.counting([job.pk], {job.pk} if state.is_flapping else set()).get(job.pk),
        "changes": records.shown(ChangeRecord.objects.filter(subject_id=job.pk)[:_CHANGES]),
    }


def _days_left(job: Job, now: dt.datetime) -> int | None:
    """The days until its end date, if it ends soon."""
    left = job.end_date - now.astimezone(job.shown_zone).date()
    return left.days if job.is_active and dt.timedelta() <= left <= ENDING_SOON else None


def _rate(job: Job, now: dt.datetime, days: int) -> dict[str, Any]:
    counts = rollups.counts(DateRange(now - dt.timedelta(days=days), None), job.pk)
    ended = counts.success + counts.failed
    return {
        "runs": ended,
        "failed": counts.failed,
        "since": charts.local(now - dt.timedelta(days=days)),
        "percent": round(100 * counts.success / ended, 1) if ended else None,
    }


def _last_error(job: Job, is_bad: bool) -> Execution | None:
    """The newest failed execution, while the job fails or flaps."""
    if not is_bad:
        return None
    return Execution.objects.filter(job=job, status=Status.FAILED).newest_first().first()


def _words(job: Job) -> str:
    try:
        return job.schedule.describe()
    except CronError as exc:
        return said(exc)


def _upcoming(job: Job, now: dt.datetime, cover: Cover) -> list[dict[str, Any]]:
    """The next times of the schedule in the job's zone, up to the end date, also those that closed days skip; and all
    single runs.
    """
    rows = [(run.due_at, _single(run, job, cover)) for run in single_run.waiting(job)]
    try:
        schedule = job.schedule
        rows += [
            (
                one.moment,
                outlook.row(one, schedule, kept_from=windows.note(job, one.moment, cover)),
            )
            for one in _outlook(job, now)
        ]
    except CronError:
        pass
    return [row for _moment, row in sorted(rows, key=itemgetter(0))]


def _single(run: BatchRun, job: Job, cover: Cover) -> dict[str, Any]:
    by = run.batch.by.email if run.batch.by else ""
    title = _("single run, %(who)s") % {"who": by} if by else _("single run")
    inside = cover.inside(job, run.due_at)
    return {
        "time": outlook.local(run.due_at, job.shown_zone),
        "runs": inside is None,
        "note": f"{title}; {windows.words(inside)}" if inside else title,
        "single_run": run.pk,
    }


def _outlook(job: Job, now: dt.datetime) -> list[Outlook]:
    if job.next_run_at is None:
        return []
    coming = job.schedule.outlook(_NEXT, not_before(now, job.start_date, job.zone))
    if job.next_run_at <= now:
        coming = [Outlook(job.next_run_at, True), *coming]
    return [one for one in coming if fire_within(one.moment, job.end_date, job.zone)]


def _target(job: Job, *, is_owner: bool) -> dict[str, str]:
    """The target as it is shown, its kind, and its web page."""
    try:
        target = job.target
    except ValueError:
        return {"shown": url_for(job.target_url, is_owner=is_owner), "noun": "", "page": ""}
    shown = target.shown(is_owner=is_owner) if isinstance(target, DeliverableTarget) else str(target)
    page = target.page() if isinstance(target, DeliverableTarget) else ""
    return {"shown": shown, "noun": str(target.noun), "page": page}
