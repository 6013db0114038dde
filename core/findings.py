"""Findings of the doctor (`manage.py doctor`)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "note", "bad"]


class Finding(NamedTuple):
    """One thing that was checked. `remedy` is '' if nothing needs to be done."""

    subject: str
    level: Level
    words: str
    remedy: str = ""
