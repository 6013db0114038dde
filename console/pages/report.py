"""What receivers told about work that ends later, on the page of an execution, and over time on that of a job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from console import charts
from core.masking import masked_text
from executions.models import WITHOUT_NUMBER, Execution, Poll, Report, Status
from executions.statistics.queries import Run
from jobs.models import Job
from jobs.request_fields import Completion

PASSED, FAILED = "passed", "failed"


def context(execution: Execution, *, is_owner: bool) -> dict[str, Any]:
    """The report of an execution, and what it is still waited for; {} if it ended with the answer of its call."""
    report = Report.objects.filter(pk=execution.pk).first()
    if report is None and execution.run_id != WITHOUT_NUMBER:
        return {}
    found: dict[str, Any] = {"report": None}
    if report:
        found["report"] = {
            "told_at": report.told_at,
            "label": report.get_status_display(),
            "message": masked_text(report.message),
            "counts": report.counts,
            "rate": _rate(report.counts),
            # Its query may be a key.
            "url": report.url if is_owner else report.url.partition("?")[0],
        }
    if execution.status == Status.RUNNING and execution.run_id == WITHOUT_NUMBER:
        job = execution.job
        found |= {
            "until": execution.started_at + dt.timedelta(minutes=job.run_limit_minutes),
            "poll": Poll.objects.filter(pk=execution.pk).first(),
            "silent_until": _silent_until(job, report),
        }
    return found


def _silent_until(job: Job, report: Report | None) -> dt.datetime | None:
    if not (job.stall_minutes and report):
        return None
    return report.told_at + dt.timedelta(minutes=job.stall_minutes)


def _rate(counts: Mapping[str, int]) -> float | None:
    """The pass rate in percent; None if no such counts were told."""
    whole = counts.get(PASSED, 0) + counts.get(FAILED, 0)
    return round(100 * counts.get(PASSED, 0) / whole, 1) if PASSED in counts and whole else None


def trend(job: Job, runs: Sequence[Run]) -> dict[str, Any]:
    """The counts of a job's latest runs as stacked bars, and the latest pass rate beside the one before; {} for a job
    whose runs tell none.
    """
    if job.completion != Completion.CALLBACK:
        return {}
    rows = Report.objects.filter(pk__in=[run.id for run in runs]).values_list("pk", "counts")
    counts: dict[UUID, dict[str, int]] = {pk: found for pk, found in rows if found}
    told = [(run, counts[run.id]) for run in runs if run.id in counts]
    rates = [rate for _, found in told if (rate := _rate(found)) is not None]
    return {
        "rate": rates[-1] if rates else None,
        "change": f"{change:+g}" if len(rates) > 1 and (change := round(rates[-1] - rates[-2], 1)) else "",
        "chart": charts.counts(told),
    }
