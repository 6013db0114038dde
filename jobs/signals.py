"""Signals that apps on higher floors receive."""

from __future__ import annotations

import datetime as dt
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


@dataclass(frozen=True)
class MovedRun:
    """A run of a job that a change of its calendar moves over the present: from `was` to `will`, of which one has
    passed.
    """

    job: Any
    was: dt.datetime
    will: dt.datetime


# Sent in the transaction in which a calendar changes. Argument: `runs`, a sequence of MovedRun.
runs_moved = Signal()


def announce_moved(runs: Sequence[MovedRun]) -> None:
    """Send `runs_moved`, unless there is none."""
    if runs:
        runs_moved.send(sender=MovedRun, runs=runs)


# Sent in the transaction of the change. Arguments: `changes`, a sequence of JobChange; `bulk`, True for a bulk upload.
jobs_changed = Signal()


def announce(changes: Sequence[JobChange], *, bulk: bool = False) -> None:
    """Send `jobs_changed`, unless the batch is empty."""
    if changes:
        jobs_changed.send(sender=JobChange, changes=changes, bulk=bulk)
