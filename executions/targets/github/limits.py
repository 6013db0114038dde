"""Refusals for GitHub's rate limits (GitHub REST: "Rate limits for the REST API", exceeding the rate limit)."""

from __future__ import annotations

import time

import requests

from executions.budgets import Pause
from executions.http.retry_after import retry_after

_REFUSALS = (403, 429)
_NAMES_OF_SECONDARY = ("secondary rate limit", "abuse detection")


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
