"""What floors above are told about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.dispatch import Signal

ChangeKind = Literal["created", "updated", "enabled", "disabled", "deleted", "expired"]


@dataclass(frozen=True)
class JobChange:
    """One change of one job. `by` is the user who asked for it; None for the product itself. `difference`: see `jobs.change_log`."""

    kind: ChangeKind
    job: Any
    by: Any = None
    difference: dict[str, list[Any]] = field(default_factory=dict)


# Sent inside the transaction of the change. Arguments: `changes`, a sequence of JobChange; `bulk`, True where one upload brought them.
jobs_changed = Signal()


def announce(changes: Sequence[JobChange], *, bulk: bool = False) -> None:
    """Send `jobs_changed`; an empty batch is not sent."""
    if changes:
        jobs_changed.send(sender=JobChange, changes=changes, bulk=bulk)
