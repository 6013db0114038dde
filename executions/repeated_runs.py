"""Nominal times that ran early, and would run again because their day was opened later."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from executions.models import Execution, Status
from jobs.models import Job
from jobs.signals import RepeatedRun
from windows.models import Effect, Window

_DID_NOT_RUN = (Status.SKIPPED, Status.MISSED, Status.CANCELLED)
_MINUTE = dt.timedelta(minutes=1)
_CHUNK = 500


def on_runs_repeated(sender: Any, runs: Sequence[RepeatedRun], **_: Any) -> None:
    """Keep those from running again that did run: by a window over their minute, which every preview knows."""
    ran: defaultdict[tuple[dt.datetime, dt.datetime], list[Job]] = defaultdict(list)
    for start in range(0, len(runs), _CHUNK):
        chunk = runs[start : start + _CHUNK]
        rows = Execution.objects.filter(
            job__in=[one.job for one in chunk], scheduled_for__in={one.was for one in chunk}
        ).exclude(status__in=_DID_NOT_RUN)
        known = set(rows.order_by().values_list("job_id", "scheduled_for"))
        for one in chunk:
            if (one.job.pk, one.was) in known:
                ran[one.was, one.again].append(one.job)
    for (was, again), jobs in sorted(ran.items()):
        window = Window.objects.create(
            name=f"Ran already: {timezone.localtime(was):%Y-%m-%d %H:%M}",
            reason=f"Calendar: {jobs[0].calendar}"[:200],
            effect=Effect.SKIP,
            starts_at=again,
            ends_at=again + _MINUTE,
        )
        window.jobs.set(jobs)
