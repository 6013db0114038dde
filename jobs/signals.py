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
class RepeatedRun:
    """A fire time to come, `again`, of nominal times of a job that fired at `was`, before its calendar changed."""

    job: Any
    was: dt.datetime
    again: dt.datetime


# Sent in the transaction in which a calendar changes. Argument: `runs`, a sequence of RepeatedRun.
runs_repeated = Signal()


def announce_repeated(runs: Sequence[RepeatedRun]) -> None:
    """Send `runs_repeated`, unless there is none."""
    if runs:
        runs_repeated.send(sender=RepeatedRun, runs=runs)


# Sent in the transaction of the change. Arguments: `changes`, a sequence of JobChange; `bulk`, True for a bulk upload.
jobs_changed = Signal()


def announce(changes: Sequence[JobChange], *, bulk: bool = False) -> None:
    """Send `jobs_changed`, unless the batch is empty."""
    if changes:
        jobs_changed.send(sender=JobChange, changes=changes, bulk=bulk)
