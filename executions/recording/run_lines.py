"""The log line of each run. It is written when the outcome is stored: in a burst the calls go first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from executions.recording.outcomes import Finished, Followed, Item

log = logging.getLogger("cronsched.engine")


def tell(items: Iterable[Item]) -> None:
    """One line a run. Address and answer are not logged: both may hold secrets."""
    if not log.isEnabledFor(logging.INFO):
        return
    for item in items:
        if isinstance(item, Finished):
            outcome, word = item.outcome, item.unrun or ("success" if item.outcome.ok else "failed")
            reason = outcome.response_status or outcome.failure or ("" if item.unrun else "no answer")
        elif isinstance(item, Followed):
            word, reason = "under way there", item.response_status or ""
        else:
            continue
        log.info(
            "run of %r, team %s: %s, %s, attempts: %d",
            item.job_name, item.team, word, reason, len(item.attempts),
            extra={"execution": str(item.execution_id)},
        )  # fmt: skip
