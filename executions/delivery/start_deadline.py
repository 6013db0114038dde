"""The start deadline: how long an execution may wait for its first call, by the job's misfire policy.

Firing applies the policy to fire times that no scheduler fired in time; this applies it to executions that waited for
too long afterwards: for a worker, for a free slot of a concurrency limit, or while the machine was stopped. The wait
that the job itself asks for (jitter, the turn of a queued execution) is not counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from executions.models import BudgetWait, Execution, Status
from jobs.fields import MisfirePolicy
from jobs.models import Job

_TO_BE_FOUND = dt.timedelta(minutes=1)
# An execution in one of these has run or will run; the others never made a call.
_CALLED = (Status.QUEUED, Status.RUNNING, Status.SUCCESS, Status.FAILED)


class StartDeadline(NamedTuple):
    """The latest start of an execution (`at`), and the policy that decides after it."""

    at: dt.datetime
    fire_time: dt.datetime
    policy: str
    grace_seconds: int

    def later_by(self, seconds: float) -> StartDeadline:
        """The deadline of an execution that waited for so long for something that does not count."""
        return self._replace(at=self.at + dt.timedelta(seconds=seconds)) if seconds else self

    @property
    def has_passed(self) -> bool:
        return timezone.now() > self.at

    def missed(self, newest: dt.datetime | None) -> str:
        """Why the execution is missed now; '' if it is called. `newest` is the latest fire time of the job that runs.

        `skip` calls no late execution; `run_once` calls the one of the latest fire time.
        """
        if not self.has_passed:
            return ""
        if self.policy == MisfirePolicy.RUN_ONCE and (newest is None or newest <= self.fire_time):
            return ""
        return f"missed: its call had not begun within {self.grace_seconds} s (misfire policy: {self.policy})"


def start_deadline(job: Job, started_at: dt.datetime, scheduled_for: dt.datetime | None) -> StartDeadline | None:
    """The start deadline of an execution; None for manual runs and for jobs that run every fire time."""
    if scheduled_for is None or job.misfire_policy == MisfirePolicy.RUN_ALL:
        return None
    due = max(started_at, scheduled_for + dt.timedelta(seconds=job.jitter))
    grace = job.misfire_grace_seconds
    return StartDeadline(due + dt.timedelta(seconds=grace), scheduled_for, job.misfire_policy, grace)


def deadlines_of(executions: Sequence[Execution], worker_id: UUID | None) -> dict[UUID, StartDeadline]:
    """The start deadlines of stored executions, by id; without those that have none, that were called before, or that
    wait for a budget, which has a limit of its own.

    Another worker than `worker_id` may have begun the call of an execution that it held: so that this is repeated,
    there is a minute more for it to be found.
    """
    found = {}
    for execution in executions:
        deadline = start_deadline(execution.job, execution.started_at, execution.scheduled_for)
        if deadline is None or execution.attempts or execution.call_began_at is not None:
            continue
        was_held = execution.takeovers > 0 or execution.worker_id not in {None, worker_id}
        found[execution.pk] = deadline._replace(at=deadline.at + _TO_BE_FOUND) if was_held else deadline
    waiting = set(BudgetWait.objects.filter(pk__in=list(found)).values_list("pk", flat=True)) if found else set()
    return {pk: deadline for pk, deadline in found.items() if pk not in waiting}


def missed(executions: Sequence[Execution], deadlines: Mapping[UUID, StartDeadline]) -> dict[UUID, str]:
    """Those of these executions that are missed by now, with the reason."""
    late = [one for one in executions if one.pk in deadlines and deadlines[one.pk].has_passed]
    if not late:
        return {}
    coming = Execution.objects.filter(job__in={one.job_id for one in late}, status__in=_CALLED)
    newest = dict(coming.order_by().values_list("job").annotate(newest=Max("scheduled_for")))
    reasons = {one.pk: deadlines[one.pk].missed(newest.get(one.job_id)) for one in late}
    return {pk: reason for pk, reason in reasons.items() if reason}
