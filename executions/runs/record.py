"""What is on record of a workflow run and its dispatch, for those who read it."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from executions.models import BudgetWait, Execution, Report, Status, StepLog, WorkflowRun
from executions.runs import attempts
from executions.targets.github import test_reports
from executions.targets.github.test_reports import Change
from jobs.models import Job


class Record(NamedTuple):
    """`run`: what is known beyond the execution; None for a run that ended at once and well. `tests`: how its failing
    tests differ from those of the job's report before; None without two reports. `wait`: what a budget let the
    dispatch wait.
    """

    run: WorkflowRun | None
    report: Report | None
    tests: Change | None
    log: StepLog | None
    wait: BudgetWait | None


def of(execution: Execution) -> Record:
    """The record of an execution that dispatched a workflow. Up to five queries."""
    report = Report.objects.filter(pk=execution.pk).first()
    return Record(
        WorkflowRun.objects.filter(pk=execution.pk).first(),
        report,
        _change(execution, report),
        StepLog.objects.filter(pk=execution.pk).first(),
        _wait(execution),
    )


def _wait(execution: Execution) -> BudgetWait | None:
    wait = BudgetWait.objects.filter(pk=execution.pk).first()
    if wait and wait.seconds is None and execution.completed_at:
        # It was cancelled while it waited.
        wait.seconds = max(0.0, (execution.completed_at - wait.since).total_seconds())
    return wait


def flaky_runs(job: Job, since: dt.datetime) -> int:
    """How many runs of a job passed only when their failed jobs were run again."""
    return WorkflowRun.objects.filter(execution__job=job, execution__started_at__gte=since, is_flaky=True).count()


def last_report(execution: Execution) -> list[str] | None:
    """The failing tests of the job's report before this execution; None if there is none."""
    reports = Report.objects.filter(
        execution__job=execution.job_id, execution__started_at__lt=execution.started_at, failing_tests__isnull=False
    )
    found: list[str] | None = reports.order_by("-execution__started_at").values_list("failing_tests", flat=True).first()
    return found


def can_run_again(execution: Execution) -> bool:
    """Whether the run may be run again on GitHub: it has ended, and badly."""
    ended = execution.status in {Status.FAILED, Status.CANCELLED}
    return ended and bool(execution.run_id) and execution.run_conclusion != "gone"


def attempts_shown(run: WorkflowRun | None) -> list[dict[str, Any]]:
    """The attempts of a run that was run again, with the time of each; [] if there was one only."""
    stored = run.attempts if run else []
    return (
        [{**one, "ended_at": attempts.moment(one.get("ended_at"))} for one in stored]
        if len(stored) > 1 or (run and (run.rerun_at or run.reruns))
        else []
    )


def _change(execution: Execution, report: Report | None) -> Change | None:
    return test_reports.compare(last_report(execution), report.failing_tests) if report else None
