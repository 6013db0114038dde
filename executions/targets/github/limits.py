"""Refusals for GitHub's rate limits (GitHub REST: "Rate limits for the REST API", exceeding the rate limit)."""

from __future__ import annotations

import datetime as dt
import time
from uuid import UUID

import requests
from django.conf import settings

from executions import budgets
from executions.budgets import Pause
from executions.http.retry_after import retry_after

_REFUSALS = (403, 429)
_NAMES_OF_SECONDARY = ("secondary rate limit", "abuse detection")


class RateLimited(requests.RequestException):
    """GitHub refused a request for a rate limit, or asked for a pause before: nothing was done. `pause`: what it asks
    for; None if that is stored already.
    """

    def __init__(self, message: str, pause: Pause | None = None, answer: requests.Response | None = None) -> None:
        super().__init__(message, response=answer)
        self.pause = pause


def check(credential_id: UUID | None) -> None:
    """Raise `RateLimited` while GitHub asks for a pause of a credential."""
    if until := budgets.blocked_until([credential_id]).get(credential_id):
        raise RateLimited(_words(until))


def note(credential_id: UUID | None, pause: Pause) -> RateLimited:
    """Store the pause that GitHub asks for; it holds for everything that uses the credential. Returns the error that
    says until when.
    """
    budgets.pause(budgets.budget_of(credential_id), pause)
    until = budgets.blocked_until([credential_id]).get(credential_id)
    return RateLimited(_words(until) if until else "GitHub's rate limit is reached")


def _words(until: dt.datetime) -> str:
    return f"GitHub's rate limit is reached: wait until {until.astimezone(settings.SCHEDULER_ZONE):%H:%M:%S}"


def refused(answer: requests.Response) -> RateLimited | None:
    """The error for an answer that refuses for a rate limit; None for others."""
    pause = pause_of_answer(answer) if answer.status_code in _REFUSALS else None
    return RateLimited("GitHub's rate limit is reached", pause, answer) if pause else None


def pause_of(status: int, wait: str, reset: str, text: str) -> Pause | None:
    """The pause that a reply asks for; None if it is no refusal for a rate limit.

    `wait`: its `Retry-After`. `reset`: its `X-RateLimit-Reset` (Unix time) if its `X-RateLimit-Remaining` is 0. `text`:
    its body.
    """
    if status not in _REFUSALS:
        return None
    is_primary = _is_time(reset)
    if wait.strip():
        return Pause(max(1.0, retry_after(wait)), is_secondary=not is_primary)
    if is_primary:
        return Pause(max(1.0, int(reset) - time.time() + 1), is_secondary=False)
    names_limit = any(name in text.lower() for name in _NAMES_OF_SECONDARY)
    return Pause(None, is_secondary=True) if names_limit or status == 429 else None


def pause_of_answer(answer: requests.Response) -> Pause | None:
    """The pause that an answer asks for; also that of one that succeeded and was the last that the limit allows."""
    reset = answer.headers.get("X-RateLimit-Reset", "") if answer.headers.get("X-RateLimit-Remaining") == "0" else ""
    if _is_time(reset) and answer.status_code in {200, 304}:
        return Pause(max(1.0, int(reset) - time.time() + 1), is_secondary=False)
    text = answer.text if answer.status_code in _REFUSALS else ""
    return pause_of(answer.status_code, answer.headers.get("Retry-After", ""), reset, text)


def _is_time(reset: str) -> bool:
    return reset.isascii() and reset.isdigit() and len(reset) < 12
