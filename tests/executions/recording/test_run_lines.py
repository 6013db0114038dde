"""One line a run at INFO, with job, team, outcome and the id of the execution."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest

from executions.models import Status
from executions.recording import run_lines
from executions.recording.outcomes import Finished, Followed, Item, Progress
from executions.targets.base import Outcome, Run

PK = UUID("01a21d34-0000-7000-8000-000000000001")
NOW = dt.datetime(2026, 11, 26, 3, 0, tzinfo=dt.UTC)


def finished(outcome: Outcome, unrun: Status | None = None) -> Finished:
    attempts = [] if unrun else [{"started_at": "x"}]
    return Finished(PK, None, PK, "Nightly", NOW, NOW, NOW, "x", outcome, attempts, unrun=unrun, team="QA")


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (finished(Outcome(True, 200)), "run of 'Nightly', team QA: success, 200, attempts: 1"),
        (finished(Outcome(False, 503)), "run of 'Nightly', team QA: failed, 503, attempts: 1"),
        (
            finished(Outcome(False, failure="timeout", error="token=s3cr3t")),
            "run of 'Nightly', team QA: failed, timeout, attempts: 1",
        ),
        (finished(Outcome(False, error="late"), Status.MISSED), "run of 'Nightly', team QA: missed, , attempts: 0"),
        (
            Followed(PK, None, Run(1, ""), 202, "", "x", [{}], job_name="Nightly", team="QA"),
            "run of 'Nightly', team QA: under way there, 202, attempts: 1",
        ),
    ],
)
def test_a_line_a_run(caplog: pytest.LogCaptureFixture, item: Item, line: str) -> None:
    with caplog.at_level("INFO", "cronsched.engine"):
        run_lines.tell([item, Progress(PK, None, [])])
    (record,) = caplog.records
    assert (record.getMessage(), record.execution) == (line, str(PK))  # type: ignore[attr-defined]


def test_at_warning_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "cronsched.engine"):
        run_lines.tell([finished(Outcome(True, 200))])
    assert caplog.records == []
