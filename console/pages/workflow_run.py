"""A workflow run on the page of its execution: attempts, what failed, tests, the log's end, and the budget's wait."""

from __future__ import annotations

import re
from typing import Any

from accounts.models import User
from core.sentences import said
from executions.completion import reports
from executions.models import OPEN, Execution, Status
from executions.runs import record
from executions.targets.github.target import GitHubTarget
from jobs.models import Job
from jobs.services import may_touch

_REPOSITORY = re.compile(r"https://[^/]+/([^/]+)/([^/]+)/actions/runs/\d+")
_TESTS_SHOWN = 20


def context(execution: Execution, user: User, *, is_owner: bool) -> dict[str, Any]:
    """{} for an execution that dispatched no workflow."""
    if execution.execution_type != GitHubTarget.kind:
        return {}
    found = record.of(execution)
    shown = reports.readable(found.report, is_owner=is_owner) if found.report else {}
    may = may_touch(execution.job, user)
    return {
        "attempts": record.attempts_shown(found.run),
        "is_flaky": bool(found.run and found.run.is_flaky),
        "rerun_at": found.run.rerun_at if found.run and execution.status in OPEN else None,
        "waits_since": found.run.waiting_since if found.run and execution.status in OPEN else None,
        "failures": shown.get("failures"),
        "counts": shown.get("counts"),
        "tests": _tests(found),
        "log": found.log,
        "left_out": [said(line) for line in shown.get("message", "").splitlines()],
        "wait": found.wait,
        "may_run_again": may and record.can_run_again(execution),
        "may_enable": may and execution.status == Status.FAILED and "disabled workflow" in execution.output,
        "file_url": _file_url(execution),
        "moved_to": moved_to(execution.job, execution.run_url),
    }


def _file_url(execution: Execution) -> str:
    try:
        return GitHubTarget.parse(execution.target).file_page()
    except ValueError:
        return ""


def moved_to(job: Job, run_url: str) -> str:
    """`owner/repo`, if GitHub names another repository for a run than the job does: it was renamed or moved."""
    found = _REPOSITORY.match(run_url)
    if found is None or job.target_kind != GitHubTarget.kind:
        return ""
    now = f"{found[1]}/{found[2]}"
    return now if now.lower() != f"{job.github_owner}/{job.github_repo}".lower() else ""


def _tests(found: record.Record) -> list[tuple[str, tuple[str, ...]]]:
    """Newly failing, still failing and fixed tests; without a report before, all failing ones as `failing`."""
    if found.report is None or found.report.failing_tests is None:
        return []
    if found.tests is None:
        named = [("failing", tuple(found.report.failing_tests))]
    else:
        named = [("new", found.tests.new), ("still", found.tests.still), ("fixed", found.tests.fixed)]
    return [(kind, names[:_TESTS_SHOWN]) for kind, names in named if names]
