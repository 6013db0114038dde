"""Explains from stored facts why a job did or did not run at a given time, or whether it will."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from core.api.errors import invalid_field
from core.api.timestamps import local_iso, utc_ms
from executions.models import BatchRun, Execution, Status
from jobs.models import Job
from jobs.schedule_history import InForce, in_force
from jobs.schedules.schedule import CronError, Schedule
from scheduler.models import Leadership, LeaderTerm
from windows.cover import Cover, Inside
from windows.models import Effect

_MINUTE = dt.timedelta(minutes=1)
# How it is recorded that a fire time did not run.
_CLOSED = re.compile(r"skipped: closed day (.*) \(calendar .*\)", re.DOTALL)
_WORDS = {
    Status.SUCCESS: "It ran and succeeded.",
    Status.RUNNING: "It is running.",
    Status.QUEUED: "It waits for the execution before to end.",
    Status.CANCELLED: "It was cancelled.",
}


@dataclass(frozen=True)
class Explanation:
    """`answer` is a stable code, `message` a sentence for people, `facts` the evidence."""

    at: dt.datetime
    answer: str
    message: str
    facts: dict[str, Any]

    def body(self) -> dict[str, Any]:
        return {"at": utc_ms(self.at), "answer": self.answer, "message": self.message, "facts": self.facts}


def explain(job: Job, at: dt.datetime) -> Explanation:
    """Explain the minute of `at` (aware).

    Answers: success, failed, running, queued, cancelled, skipped, missed (an execution is on record); did_not_exist,
    paused, expired, not_started, not_scheduled, closed_day, window, no_leader, due, not_recorded, will_run, unusable.
    """
    at = at.astimezone(dt.UTC).replace(second=0, microsecond=0)
    execution = Execution.objects.filter(job=job, scheduled_for=at).first()
    if execution:
        return _of_execution(execution, at)
    single = BatchRun.objects.single().filter(job_id=job.pk, due_at__gte=at, due_at__lt=at + _MINUTE, problem="")
    run = single.filter(batch__cancelled_at=None).select_related("batch__by").first()
    if run:
        return _of_single_run(job, run, at)
    if at + _MINUTE <= job.created_at:
        return Explanation(at, "did_not_exist", "The job did not exist yet.", {"created_at": utc_ms(job.created_at)})
    facts: dict[str, Any] = {}
    try:
        force = in_force(job, at)
        facts |= {
            "cron_expression": force.expression,
            "end_date": force.end_date.isoformat(),
            "in_force_since": utc_ms(force.since.at) if force.since else None,
        }
        return _unrecorded(job, at, force, facts)
    except CronError as exc:
        return Explanation(at, "unusable", f"The schedule cannot be used: {exc}", facts)


def read_moment(text: str | None, zone: ZoneInfo) -> dt.datetime:
    """Parse the parameter `at`: an ISO 8601 datetime, in the job's zone if it has no offset; empty means now."""
    if not text or not text.strip():
        return timezone.now()
    try:
        moment = dt.datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        if not 1990 < moment.astimezone(dt.UTC).year < 2200:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise invalid_field("at", "Write a datetime such as 2026-03-01T09:00.", error="Invalid date") from None
    return moment


def _of_execution(execution: Execution, at: dt.datetime) -> Explanation:
    status = Status(execution.status)
    facts: dict[str, Any] = {
        "execution_id": str(execution.pk),
        "status": status.value,
        "started_at": utc_ms(execution.started_at),
        "completed_at": utc_ms(execution.completed_at),
        "late_by_seconds": round((execution.started_at - at).total_seconds(), 3),
    }
    if execution.nominal_for and execution.scheduled_for and execution.nominal_for != execution.scheduled_for:
        facts["shifted_from"] = local_iso(execution.nominal_for, execution.job.shown_zone)
    if status == Status.SKIPPED and (closed := _CLOSED.fullmatch(execution.error_message)):
        facts["closed_day"] = {"date": f"{at.astimezone(execution.job.shown_zone):%Y-%m-%d}", "label": closed[1]}
    words = _WORDS.get(status, f"It {status.value}: {execution.error_message}")
    if status == Status.QUEUED and execution.error_message:
        words = f"It is {execution.error_message}"
    if status in {Status.SKIPPED, Status.MISSED}:
        words = f"It was {execution.error_message}"
    return Explanation(at, status.value, words, facts)


def _of_single_run(job: Job, run: BatchRun, at: dt.datetime) -> Explanation:
    execution = Execution.objects.filter(pk=run.execution_id).first() if run.execution_id else None
    if execution:
        return _of_execution(execution, at)
    by = run.batch.by.email if run.batch.by else None
    facts: dict[str, Any] = {"single_run": run.pk, "planned_by": by}
    if run.execution_id:
        return Explanation(at, "not_recorded", "It was a single run: its history has been deleted.", facts)
    inside = Cover.now().inside(job, at)
    if inside:
        return _inside(at, inside, facts)
    return Explanation(at, "will_run", "A single run is planned for this time.", facts)


def _inside(at: dt.datetime, inside: Inside, facts: dict[str, Any]) -> Explanation:
    facts["window"] = {"id": str(inside.window.pk), "name": inside.window.name, "effect": inside.window.effect}
    verb = "held" if inside.window.effect == Effect.HOLD else "skipped"
    return Explanation(at, "window", f"It will be {verb}: window {inside.window.name}.", facts)


def _unrecorded(job: Job, at: dt.datetime, force: InForce, facts: dict[str, Any]) -> Explanation:
    day = at.astimezone(force.schedule.zone).date()
    if day > force.end_date:
        return Explanation(at, "expired", f"Its end date {force.end_date} had passed.", facts)
    if force.start_date and day < force.start_date:
        return Explanation(at, "not_started", f"Its start date {force.start_date} had not come.", facts)
    if not force.is_active:
        return _paused(at, force, facts)
    if force.schedule.tab.is_manual:
        return Explanation(at, "not_scheduled", "The job had no schedule of its own then: it ran by hand only.", facts)
    following = force.schedule.next(at - _MINUTE)
    if following != at:
        closed = _closed_day(at, force.schedule, facts)
        if closed:
            return closed
        facts |= {
            "previous_fire_time": local_iso(_previous(force.schedule, at), settings.SCHEDULER_ZONE),
            "next_fire_time": local_iso(following, settings.SCHEDULER_ZONE),
        }
        return Explanation(at, "not_scheduled", "The schedule in force then does not name this time.", facts)
    now = timezone.now()
    if at > now:
        return _future(job, at, now, facts)
    if job.problem:
        return Explanation(at, "unusable", f"The scheduler could not fire it: {job.problem}", facts)
    return _past(job, at, force, facts)


def _previous(schedule: Schedule, at: dt.datetime) -> dt.datetime | None:
    try:
        return schedule.previous(at)
    except CronError:
        return None


def _paused(at: dt.datetime, force: InForce, facts: dict[str, Any]) -> Explanation:
    if force.since is None:
        return Explanation(at, "paused", "It was paused.", facts)
    by = force.since.by_email or ("its end date" if force.since.kind == "expired" else "an operator")
    since = local_iso(force.since.at, settings.SCHEDULER_ZONE)
    return Explanation(at, "paused", f"It was paused, by {by}, since {since}.", {**facts, "paused_by": by})


def _closed_day(at: dt.datetime, schedule: Schedule, facts: dict[str, Any]) -> Explanation | None:
    """Why a nominal time does not run; None if the schedule does not name it."""
    found = schedule.move_of(at)
    if found is None:
        return None
    why = schedule.closed_reason(found)
    facts["closed_day"] = {"date": found.nominal.isoformat(), "label": found.closed_because}
    if found.day is None:
        return Explanation(at, "closed_day", f"It was skipped: {why}.", facts)
    facts["shifted_to"] = found.day.isoformat()
    return Explanation(at, "closed_day", f"It moved to {found.day}: {why}.", facts)


def _future(job: Job, at: dt.datetime, now: dt.datetime, facts: dict[str, Any]) -> Explanation:
    following = job.next_fire(now)
    nominal = job.schedule.nominal_for(at)
    if nominal:
        facts["shifted_from"] = local_iso(nominal, settings.SCHEDULER_ZONE)
    facts |= {"next_fire_time": local_iso(following, settings.SCHEDULER_ZONE), "leader": Leadership.current().is_live}
    if at == job.skipped_run_at:
        return Explanation(at, "window", "It will be skipped, as somebody asked.", facts)
    inside = Cover.now().inside(job, at)
    if inside:
        return _inside(at, inside, facts)
    return Explanation(at, "will_run", "It will run, if nothing is changed and a scheduler leads.", facts)


def _past(job: Job, at: dt.datetime, force: InForce, facts: dict[str, Any]) -> Explanation:
    if force.since and force.since.at >= at:
        return Explanation(
            at, "not_scheduled", "It was created or changed within this minute: it never fires for the past.", facts
        )
    term = LeaderTerm.objects.filter(started_at__lte=at + _MINUTE).order_by("-started_at").first()
    ended = (term.ended_at or Leadership.current().heartbeat_at) if term else None
    facts["leader"] = term.leader_id if term else None
    if ended is None or ended < at:
        seen = f" The last one was seen at {local_iso(ended, settings.SCHEDULER_ZONE)}." if ended else ""
        return Explanation(at, "no_leader", f"No scheduler led at that time.{seen}", facts)
    if job.next_run_at is not None and job.next_run_at <= at:
        return Explanation(at, "due", "It is due and will be fired in a moment.", facts)
    return Explanation(
        at, "not_recorded", "A scheduler led, but no execution is on record: the history may have been deleted.", facts
    )
