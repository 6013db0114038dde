"""What receivers told about work that ends later, on the page of an execution, and over time on that of a job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from console import charts
from executions.completion import reports
from executions.completion.limits import silent_until_of
from executions.models import WITHOUT_NUMBER, Execution, Poll, Report, Status
from executions.statistics.queries import Run
from executions.targets import WebhookTarget
from jobs.models import Job
from jobs.request_fields import Completion


def context(execution: Execution, *, is_owner: bool) -> dict[str, Any]:
    """The report of an execution, and what it is still waited for. {} without either."""
    report = reports.of(execution.pk) if execution.execution_type == WebhookTarget.kind else None
    if report is None and execution.run_id != WITHOUT_NUMBER:
        return {}
    found: dict[str, Any] = {"report": None}
    if report:
        shown = reports.readable(report, is_owner=is_owner)
        label, rate = report.get_status_display(), _rate(report.counts)
        found["report"] = {**shown, "told_at": report.told_at, "label": label, "rate": rate}
    if execution.status == Status.RUNNING and execution.run_id == WITHOUT_NUMBER:
        poll = Poll.objects.defer("url").filter(pk=execution.pk).first()
        found |= {
            "until": execution.started_at + dt.timedelta(minutes=execution.job.run_limit_minutes),
            "poll": poll,
            "silent_until": None if poll else silent_until_of(execution, report),
        }
    return found


def _rate(counts: Mapping[str, int]) -> float | None:
    """The pass rate in percent; None if no such counts were told."""
    passed = counts.get(charts.PASSED, 0)
    whole = passed + counts.get(charts.FAILED, 0)
    return round(100 * passed / whole, 1) if whole else None


def trend(job: Job, runs: Sequence[Run]) -> dict[str, Any]:
    """The counts of a job's latest runs as stacked bars, and the latest pass rate beside the one before; {} for a job
    whose runs tell none.
    """
    if job.completion != Completion.CALLBACK and not job.test_report:
        return {}
    ended = Report.objects.filter(pk__in=[run.id for run in runs]).exclude(status=Report.State.PROGRESS)
    rows = ended.values_list("pk", "counts")
    counts: dict[UUID, dict[str, int]] = {pk: found for pk, found in rows if found}
    told = [(run, counts[run.id]) for run in runs if run.id in counts]
    rates = [rate for _, found in told if (rate := _rate(found)) is not None]
    return {
        "rate": rates[-1] if rates else None,
        "change": f"{change:+g}" if len(rates) > 1 and (change := round(rates[-1] - rates[-2], 1)) else "",
        "chart": charts.counts(told),
    }
