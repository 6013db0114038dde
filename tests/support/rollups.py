"""Executions at chosen minutes of a fixed day, for tests of counts and of retention."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

from core.api.timestamps import DateRange
from executions.models import Execution, Status
from executions.statistics import rollups
from jobs.models import Job

BASE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ALL = DateRange(None, None)
minutes = st.integers(0, 600)


def ran(job: Job, minute: int, status: Status, seconds: float | None = 1.0, kind: str = "webhook") -> Execution:
    return Execution.objects.create(
        job=job, status=status, trigger_type="manual", execution_type=kind, target="x", duration_seconds=seconds,
        started_at=BASE + dt.timedelta(minutes=minute, seconds=minute % 60),
    )  # fmt: skip


def rebuild() -> int:
    return sum(1 for _ in rollups.rebuild())
