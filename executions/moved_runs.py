"""Runs that a change of a calendar moves over the present: what has run does not run again, and what can run no more is
recorded.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from executions.models import Execution, Status
from executions.services import record_unrun
from jobs.models import Job
from jobs.signals import MovedRun
from windows.models import Effect, Window

_DID_NOT_RUN = (Status.SKIPPED, Status.MISSED, Status.CANCELLED)
_MINUTE = dt.timedelta(minutes=1)
# How the name of a window begins that keeps a moved run from running again.
RAN_ALREADY = "Ran already"


def on_runs_moved(sender: Any, runs: Sequence[MovedRun], **_of_signal: Any) -> None:
    """Act on both kinds, in the transaction of the change."""
    now = timezone.now()
    _keep_from_running_again([one for one in runs if one.will > now])
    _record([one for one in runs if one.will <= now])


def _keep_from_running_again(runs: Sequence[MovedRun]) -> None:
    """By a window over their minute, which every preview knows."""
    ran: defaultdict[tuple[dt.datetime, dt.datetime], list[Job]] = defaultdict(list)
    known = _known(runs, [one.was for one in runs], but=_DID_NOT_RUN)
    for one in runs:
        if (one.job.pk, one.was) in known:
            ran[one.was, one.will].append(one.job)
    for (was, will), jobs in sorted(ran.items(), key=lambda entry: entry[0]):
        window = Window.objects.create(
            name=f"{RAN_ALREADY}: {timezone.localtime(was):%Y-%m-%d %H:%M}",
            reason=f"Calendar: {jobs[0].calendar}"[:200],
            effect=Effect.SKIP,
            starts_at=will,
            ends_at=will + _MINUTE,
        )
        window.jobs.set(jobs)


def _record(runs: Sequence[MovedRun]) -> None:
    """As skipped, at the time that has passed."""
    known = _known(runs, [one.will for one in runs])
    for one in runs:
        if (one.job.pk, one.will) not in known:
            why = f"skipped: its day was opened after its time (calendar {one.job.calendar})"
            record_unrun(one.job, Status.SKIPPED, why, by=None, fire_time=one.will)


def _known(runs: Sequence[MovedRun], moments: Sequence[dt.datetime], but: Sequence[str] = ()) -> set[tuple[Any, Any]]:
    rows = Execution.objects.filter(job__in={one.job.pk for one in runs}, scheduled_for__in=set(moments))
    return set(rows.exclude(status__in=but).order_by().values_list("job_id", "scheduled_for"))
