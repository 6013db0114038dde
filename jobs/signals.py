"""Signals that apps on higher floors receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.dispatch import Signal

ChangeKind = Literal["created", "updated", "enabled", "disabled", "deleted", "expired"]


@dataclass(frozen=True)
class JobChange:
    """One change of one job. `by`: the user, or None for Cronsched itself. `difference`: see `jobs.change_log`."""

    kind: ChangeKind
    job: Any
    by: Any = None
    difference: dict[str, list[Any]] = field(default_factory=dict)


# Sent in the transaction of the change. Arguments: `changes`, a sequence of JobChange; `bulk`, True for a bulk upload.
jobs_changed = Signal()


def announce(changes: Sequence[JobChange], *, bulk: bool = False) -> None:
    """Send `jobs_changed`, unless the batch is empty."""
    if changes:
        jobs_changed.send(sender=JobChange, changes=changes, bulk=bulk)
