"""Masking of values that may be secret, wherever they are shown."""

from __future__ import annotations

import re
from typing import Any

MASK = "••••••"
_SECRET_NAME = re.compile(r"pass|secret|token|api.?key|authorization|credential|private", re.IGNORECASE)
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
