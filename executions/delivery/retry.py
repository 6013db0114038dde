"""Decides whether a failed attempt is followed by another, and when."""

from __future__ import annotations

import random
from typing import NamedTuple

from executions.http.retry_after import retry_after
from executions.targets.base import Outcome

_JITTER = 0.2
_LONGEST_BACKOFF = 3600.0


class RetryPolicy(NamedTuple):
    """A job's retry policy: maximum attempts, first backoff and deadline (both in seconds), and the failures that are
    retried.
    """

    max_attempts: int = 1
    backoff_seconds: float = 10
    deadline_seconds: float = 3600
    retry_on: frozenset[str] = frozenset()

    def wait(self, outcome: Outcome, attempt: int, elapsed: float) -> float | None:
        """Seconds until the next attempt, after `attempt` attempts and `elapsed` seconds; None if there is none.

        The backoff doubles with each attempt, with a jitter of 20 %. A longer `Retry-After` takes precedence (RFC
        9110 section 10.2.3).
        """
        if outcome.ok or attempt >= self.max_attempts or reason(outcome) not in self.retry_on:
            return None
        wait = min(self.backoff_seconds * 2 ** (attempt - 1), _LONGEST_BACKOFF)
        wait = max(wait * random.uniform(1 - _JITTER, 1 + _JITTER), retry_after(outcome.retry_after))  # noqa: S311
        return wait if elapsed + wait <= self.deadline_seconds else None


NO_RETRY = RetryPolicy()


def reason(outcome: Outcome) -> str:
    """The failure class of an outcome, one of `jobs.models.RetryOn`; '' if another attempt cannot help."""
    if not outcome.repeatable:
        return ""
    if outcome.response_status is None:
        return outcome.failure
    # GitHub answers 403 with Retry-After when a rate limit is reached.
    if outcome.response_status == 429 or (outcome.response_status == 403 and outcome.retry_after):
        return "429"
    return "5xx" if outcome.response_status >= 500 else outcome.failure
