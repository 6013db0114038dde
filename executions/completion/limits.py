"""Ends executions whose work takes longer than their job allows, or of which nothing was heard for too long."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from executions.models import Execution, Poll, Report
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Outcome

_BATCH = 500
_LOOKED_AT = ("started_at", "attempts", "job__run_limit_minutes", "job__stall_minutes")


def end_overdue() -> int:
    """End them as failed with the reason; returns how many. The leader calls it every few seconds."""
    ended, last = 0, UUID(int=0)
    awaited = Execution.objects.awaited().order_by("pk")
    while ids := list(awaited.filter(pk__gt=last).values_list("pk", flat=True)[:_BATCH]):
        last = ids[-1]
        if any(_overdue(awaited.filter(pk__in=ids).only(*_LOOKED_AT))):
            ended += _end(ids)
    return ended


@transaction.atomic
def _end(ids: Sequence[UUID]) -> int:
    # Locked, because a receiver may tell something at the same time.
    locked = Execution.objects.awaited().filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
    late = list(_overdue(locked))
    store([Finished.of(one, Outcome(False, one.response_status, one.output, reason), None) for one, reason in late])
    return len(late)


def _overdue(executions: QuerySet[Execution]) -> Iterator[tuple[Execution, str]]:
    """Those that are overdue, with the reason and what was heard last, which may say why."""
    found, now = list(executions.select_related("job")), timezone.now()
    ids = [one.pk for one in found]
    reports = Report.objects.in_bulk(ids)
    problems = dict(Poll.objects.filter(pk__in=ids).values_list("pk", "problem"))
    for one in found:
        limit, report = one.job.run_limit_minutes, reports.get(one.pk)
        silent_until = None if one.pk in problems else silent_until_of(one, report)
        if now > one.started_at + dt.timedelta(minutes=limit):
            reason = f"It was not over after {limit} minutes; it is no longer waited for."
        elif silent_until and now > silent_until:
            reason = f"Its receiver told nothing for {one.job.stall_minutes} minutes; it is no longer waited for."
        else:
            continue
        if problems.get(one.pk):
            reason += f" Its status address: {problems[one.pk]}."
        elif report and report.message:
            reason += f" The last that it told: {report.message}"
        yield one, reason


def silent_until_of(execution: Execution, report: Report | None) -> dt.datetime | None:
    """When an execution whose receiver calls back fails because nothing was heard; None if silence has no limit."""
    if not execution.job.stall_minutes:
        return None
    heard_at = report.told_at if report else _answered_at(execution)
    return heard_at + dt.timedelta(minutes=execution.job.stall_minutes)


def _answered_at(execution: Execution) -> dt.datetime:
    try:
        last = execution.attempts[-1]
        return dt.datetime.fromisoformat(last["started_at"]) + dt.timedelta(seconds=last["duration_seconds"])
    except (IndexError, KeyError, TypeError, ValueError):
        return execution.started_at
