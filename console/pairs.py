"""Names with values as lines of text, such as `Accept: application/json`; what lines cannot hold as a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping


def read(text: str) -> dict[str, str]:
    """The pairs of a text, one a line. Raises `ValueError` with the line that is none, or comes twice."""
    if text.lstrip().startswith("{"):
        return _object(text)
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not name and not value:
            continue
        if not (name and colon) or name in found:
            raise ValueError(line.strip()[:80])
        found[name] = value
    return found


def _object(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(text.strip()[:80]) from None
    if not isinstance(found, dict):
        raise ValueError(text.strip()[:80])
    return found


def write(pairs: Mapping[str, str] | None) -> str:
    """The text of pairs."""
    if not pairs:
        return ""
    text = "\n".join(f"{name}: {value}" for name, value in pairs.items())
    try:
        is_same = read(text) == pairs
    except ValueError:
        is_same = False
    return text if is_same else json.dumps(dict(pairs), ensure_ascii=False)
