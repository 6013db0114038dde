"""What GitHub tells of a workflow run (GitHub REST: "Workflow runs")."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from executions.targets.github.api import page_of_run

# Our own conclusion of a run that GitHub no longer knows.
GONE = "gone"
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
SUCCESSFUL = frozenset({"success", "neutral", "skipped"})
# The description of each conclusion that is a failure (GitHub REST: "check runs").
FAILURES = {
    "failure": "failed",
    "cancelled": "was cancelled",
    "timed_out": "ran out of GitHub's time limit",
    "action_required": "waits for an approval that is required",
    "startup_failure": "could not be started: look at the workflow file",
    "stale": "was given up by GitHub as stale",
    GONE: "is gone from GitHub, or its token may no longer see it",
}


class RunState(NamedTuple):
    """One run. `attempt`: None if GitHub does not name it; it may lag behind while the run is queued."""

    status: str
    conclusion: str = ""
    attempt: int | None = None
    started_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    created_at: dt.datetime | None = None
    url: str = ""
    path: str = ""
    branch: str = ""

    @property
    def is_over(self) -> bool:
        return self.status == "completed"

    @property
    def seconds(self) -> float | None:
        """The seconds of the latest attempt."""
        if self.started_at is None or self.updated_at is None:
            return None
        return max(0.0, (self.updated_at - self.started_at).total_seconds())


GONE_STATE = RunState("completed", GONE)


def read(told: Any) -> tuple[int, RunState]:
    """The id and the state of a run. Raises `ValueError` for what is none."""
    run_id = told.get("id") if isinstance(told, dict) else None
    if not isinstance(run_id, int) or isinstance(run_id, bool) or not 0 < run_id < 2**63:
        raise ValueError("GitHub's answer about a run cannot be read")
    attempt = told.get("run_attempt")
    return run_id, RunState(
        status=_text(told.get("status"), 40),
        conclusion=_text(told.get("conclusion"), 40),
        attempt=attempt if isinstance(attempt, int) and 0 < attempt < 2**31 else None,
        started_at=_moment(told.get("run_started_at")),
        updated_at=_moment(told.get("updated_at")),
        created_at=_moment(told.get("created_at")),
        url=page_of_run(told.get("html_url")),
        path=_text(told.get("path"), 500),
        branch=_text(told.get("head_branch"), 255),
    )


def _text(value: Any, longest: int) -> str:
    """A text that a column can hold: without control characters and single surrogates."""
    return "".join(char for char in value if char.isprintable())[:longest] if isinstance(value, str) else ""


def _moment(text: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    # Others cannot be counted with in every zone.
    return moment if moment and moment.tzinfo and _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
