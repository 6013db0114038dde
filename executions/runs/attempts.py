"""The attempts of a run that have ended, as they are stored (`WorkflowRun.attempts`).

An attempt is known by when it began, because `run_attempt` lags behind while the next one is queued.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.api.timestamps import utc_ms
from executions.models import Execution, WorkflowRun
from executions.runs.states import RunState


def run_of(execution: Execution) -> WorkflowRun | None:
    """What is stored of an execution's run; None if nothing is."""
    return getattr(execution, "workflow_run", None)


def attempts_of(execution: Execution) -> list[dict[str, Any]]:
    """The attempts that are stored, oldest first."""
    run = run_of(execution)
    return list(run.attempts) if run else []


def is_new(execution: Execution, state: RunState) -> bool:
    """Whether this is another attempt than the last one that is stored."""
    stored = attempts_of(execution)
    if not stored:
        return True
    last = moment(stored[-1].get("started_at"))
    if state.started_at is None or last is None:
        return (state.attempt or 0) > (stored[-1].get("attempt") or 0)
    return state.started_at > last


def with_attempt(execution: Execution, state: RunState) -> list[dict[str, Any]]:
    """The attempts with this one, which has ended, added."""
    stored = attempts_of(execution)
    return [
        *stored,
        {
            "attempt": max(state.attempt or 0, len(stored) + 1),
            "conclusion": state.conclusion,
            "started_at": utc_ms(state.started_at),
            "ended_at": utc_ms(state.updated_at),
            "seconds": state.seconds,
        },
    ]


def number_of(execution: Execution, state: RunState) -> int:
    """The number of the attempt in this state."""
    return int(with_attempt(execution, state)[-1]["attempt"])


def moment(text: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
