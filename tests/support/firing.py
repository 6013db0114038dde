"""Firing in tests: a fixed noon, jobs made then, and what fired at a given time."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any

import time_machine

from executions.models import Execution
from jobs.models import Job
from scheduler.firing import fire
from scheduler.leadership import Leader

NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)  # 12:00 JST
MINUTE = dt.timedelta(minutes=1)
MakeJob = Callable[..., Job]


def fire_at(leader: Leader, moment: dt.datetime) -> None:
    with time_machine.travel(moment, tick=False):
        fire(leader)


def made_at_noon(make_job: MakeJob, **changes: Any) -> Job:
    with time_machine.travel(NOON, tick=False):
        return make_job(**{"cron_expression": "* * * * *", **changes})


def statuses(job: Job) -> dict[str, int]:
    return dict(Counter(Execution.objects.filter(job=job).values_list("status", flat=True)))
