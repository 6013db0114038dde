"""Names with values as lines of text, such as `Accept: application/json`."""

from __future__ import annotations

from collections.abc import Mapping


def read(text: str) -> dict[str, str]:
    """The pairs of a text, one a line. Raises `ValueError` with the line that is none, or comes twice."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not name and not value:
            continue
        if not (name and colon) or name in found:
            raise ValueError(line.strip()[:80])
        found[name] = value
    return found


def write(pairs: Mapping[str, str] | None) -> str:
    """The text of pairs."""
    return "\n".join(f"{name}: {value}" for name, value in (pairs or {}).items())
