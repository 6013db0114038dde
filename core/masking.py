"""Masking of values that may be secret, wherever they are shown."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

MASK = "••••••"
_SECRET_NAME = re.compile(r"pass|secret|token|api.?key|authorization|credential|private", re.IGNORECASE)
# Segments of a path that are keys rather than names, such as those of Slack's and Discord's webhooks.
_KEY_SEGMENT = re.compile(r"(?<=/)(?=[^/]*[0-9])(?=[^/]*[A-Za-z])(?![0-9a-f]{8}-)[A-Za-z0-9_-]{20,}")
# `"token": "..."` and the like in text that is not one JSON document. Names are read once and whole (atomic groups), so
# that the time is linear in the text.
_SECRET_VALUE = re.compile(
    rf"""(?<![\w.-])(?=[\w.-]*?(?:{_SECRET_NAME.pattern}))((?>[\w.-]+)["']?\s*+[:=]\s*+)"""
    r"""("[^"]*+"?|'[^']*+'?|[^\s,;&}]+)""",
    re.IGNORECASE,
)


def masked(value: Any) -> Any:
    """A JSON value in which the values of secret-sounding names are masked."""
    if isinstance(value, dict):
        return {name: MASK if _SECRET_NAME.search(str(name)) else masked(one) for name, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value


def masked_text(text: str) -> str:
    """A text in which values that follow a secret-sounding name are masked."""
    return _SECRET_VALUE.sub(rf"\1{MASK}", text)


def masked_url(text: str) -> str:
    """A URL without user name and password, and with the values of its query, what follows `/services/` and keys in its
    path masked.
    """
    try:
        parts = urlsplit(text)
        # As it is written: an address may hold characters that none should.
        authority = parts.netloc.rpartition("@")[2]
    except ValueError:
        return text.partition("?")[0].rpartition("@")[2]
    before, services, after = parts.path.partition("/services/")
    path = f"{before}{services}{MASK}" if after else _KEY_SEGMENT.sub(MASK, parts.path)
    query = "&".join(f"{pair.partition('=')[0]}={MASK}" for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, authority, path, query, parts.fragment and MASK))
