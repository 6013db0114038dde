"""Ends executions whose work takes longer than their job allows, or of which nothing was heard for too long."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from executions.models import Execution
from executions.recording import Finished, store
from executions.targets import Outcome

_MOST = 20_000


def end_overdue() -> int:
    """End them as failed with the reason; returns how many. The leader calls it every few seconds."""
    now = timezone.now()
    limits, heard = ("job__run_limit_minutes", "job__stall_minutes"), ("report__told_at", "poll__pk")
    rows = (
        Execution.objects.awaited().order_by("started_at").values_list("pk", "started_at", "attempts", *limits, *heard)
    )
    reasons = {}
    for pk, started_at, attempts, limit, stall, told_at, poll in rows[:_MOST]:
        heard_at = told_at or _last_call(attempts) or started_at
        if now - started_at > dt.timedelta(minutes=limit):
            reasons[pk] = f"It was not over after {limit} minutes; it is no longer waited for."
        elif stall and poll is None and now - heard_at > dt.timedelta(minutes=stall):
            reasons[pk] = f"Its receiver told nothing for {stall} minutes; it is no longer waited for."
    late = Execution.objects.awaited().filter(pk__in=reasons).select_related("job", "poll", "report")
    store([Finished.of(one, _outcome(one, reasons[one.pk]), None) for one in late])
    return len(reasons)


def _last_call(attempts: list[dict[str, str]]) -> dt.datetime | None:
    return dt.datetime.fromisoformat(attempts[-1]["started_at"]) if attempts else None


def _outcome(execution: Execution, reason: str) -> Outcome:
    """With what was heard last, which may say why."""
    poll, report = getattr(execution, "poll", None), getattr(execution, "report", None)
    if poll and poll.problem:
        reason += f" Its status address: {poll.problem}."
    elif report and report.message:
        reason += f" The last that it told: {report.message}"
    return Outcome(False, execution.response_status, execution.output, reason)
