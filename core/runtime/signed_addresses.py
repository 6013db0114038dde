"""Addresses of this service of which a part is the proof of who calls: no log, trace or error report may hold it."""

from __future__ import annotations

import re
from typing import Any

from core.masking import MASK

CALLBACKS = "/api/v2/callbacks/"
# What stands before the token.
_BEFORE = ("callbacks", "extend", "unsubscribe", "calendar", "summary", "set-password/[^/\\s]+")
_SIGNED = re.compile(rf"(/(?:{'|'.join(_BEFORE)})/)[^/\s?\"']+")
# As OpenTelemetry takes the addresses that are not traced.
NOT_TRACED = ",".join(f"{one.partition('/')[0]}/.*" for one in _BEFORE)


def without_tokens(text: str) -> str:
    """A text without the tokens of signed addresses."""
    return _SIGNED.sub(rf"\1{MASK}", text)


def scrubbed(event: Any, _hint: Any) -> Any:
    """An event for Sentry without the tokens of signed addresses."""
    request = event.get("request") or {}
    if "url" in request:
        request["url"] = without_tokens(request["url"])
    if "transaction" in event:
        event["transaction"] = without_tokens(event["transaction"])
    return event
