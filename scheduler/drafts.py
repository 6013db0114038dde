"""Drafts: what firing writes and submits for the due fire times of a job, before anything is written.

A draft takes most of the time of a fire time, and needs neither a lock nor the instant itself, so that
`scheduler.ahead` makes it some seconds before.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID

from django.db.models import F
from uuid_utils.compat import uuid7

from executions.delivery.carry_out import Teams, delivery_of
from executions.delivery.start_deadline import start_deadline
from executions.delivery.state import Delivery
from executions.models import OPEN, Execution, Status, TriggerType
from executions.statistics import queries
from executions.targets import deliverable
from jobs.content import Content, Rendered, asks_for_success, render, values_of
from jobs.field_traits import names
from jobs.fields import OverlapPolicy
from jobs.models import Job, JobQuerySet
from jobs.schedules.schedule import Schedule
from scheduler.policies import Planned, plan
from windows.cover import Cover, Inside

# What a job raises that cannot be fired.
UNUSABLE = (ValueError, TypeError, OverflowError, IndexError, AttributeError)


@cache
def _columns() -> tuple[str, ...]:
    """The columns of a job that firing reads."""
    return (*names(having="fired"), "category", "next_run_at", "skipped_run_at", "calendar_version")


def read(jobs: JobQuerySet) -> list[Job]:
    """These jobs, in no order, with the columns that drafts need."""
    return jobs.order_by().annotate(calendar_version=F("calendar__version")).bare(*_columns())


class Row(NamedTuple):
    """The columns of a new execution that differ from their defaults, in the order of the insert."""

    id: UUID
    job: UUID
    status: str
    trigger_type: str
    scheduled_for: dt.datetime
    nominal_for: dt.datetime | None
    completed_at: dt.datetime | None
    execution_type: str
    target: str
    error_message: str
    output: str
    attempts: list[object]
    overrides: dict[str, object] | None
    started_at: dt.datetime
    worker_id: UUID | None

    def begun_at(self, now: dt.datetime, worker_id: UUID | None) -> Row:
        """The row of an execution that a worker starts later than was planned."""
        return Row(*self[:-2], now, worker_id)

    @classmethod
    def of(
        cls,
        job: Job,
        planned: Planned,
        pk: UUID,
        nominal_for: dt.datetime | None,
        rendered: Rendered,
        now: dt.datetime,
        worker_id: UUID | None,
    ) -> Row:
        target = rendered.target
        is_open = planned.status in OPEN
        at = planned.moment if planned.status == Status.MISSED else now
        return cls(
            pk,
            job.pk,
            planned.status.value,
            TriggerType.SCHEDULED.value,
            planned.moment,
            nominal_for,
            None if is_open else at,
            target.kind,
            str(target),
            planned.reason,
            "",
            [],
            {"rendered": rendered.content.stored()} if rendered.content.is_rendered else None,
            at,
            worker_id if is_open else None,
        )


def new_row(
    job: Job,
    planned: Planned,
    now: dt.datetime,
    worker_id: UUID | None,
    schedule: Schedule,
    succeeded_for: dt.datetime | None = None,
) -> tuple[Row, Rendered]:
    """A new execution, and what it sends. Raises `ValueError`."""
    pk, nominal_for = uuid7(), schedule.nominal_for(planned.moment)
    rendered = Rendered(job.target, Content.of(job))
    if job.templated and planned.status in OPEN:
        values = values_of(
            job,
            execution_id=str(pk),
            trigger=TriggerType.SCHEDULED,
            scheduled_for=planned.moment,
            nominal_for=nominal_for,
            succeeded_for=succeeded_for,
        )
        rendered = render(job, rendered.target, rendered.content, values)
    return Row.of(job, planned, pk, nominal_for, rendered, now, worker_id), rendered


class Draft(NamedTuple):
    """What the due fire times of a job become: its new executions, the deliveries of those that run, the windows that
    hold executions, by their ids, and the next fire time. `tells_missed`: whether its people hear of executions that
    do not run.
    """

    job_id: UUID
    rows: list[Row]
    deliveries: list[Delivery]
    held: dict[UUID, Inside]
    following: dt.datetime | None
    tells_missed: bool

    def begun_at(self, now: dt.datetime, worker_id: UUID | None) -> Draft:
        """A draft of executions that run, for a later start by a worker."""
        return self._replace(
            rows=[row.begun_at(now, worker_id) for row in self.rows],
            deliveries=[one.begun_at(now, worker_id) for one in self.deliveries],
        )


class Drafter:
    """Makes the drafts of some jobs, with what it takes to decide about them together read once."""

    def __init__(self, jobs: Sequence[Job], teams: Teams, worker_id: UUID | None, cover: Cover) -> None:
        self._teams = teams
        self._worker_id = worker_id
        self._cover = cover
        self._statuses = _open_statuses(jobs)
        self._succeeded = queries.last_success_for([job.pk for job in jobs if asks_for_success(job)])
        # Thousands of jobs share a few schedules.
        self._schedules: dict[tuple[object, ...], Schedule] = {}

    def draft(self, job: Job, now: dt.datetime) -> Draft:
        """The draft of a job that is fired at `now`. Raises one of `UNUSABLE` for a job that cannot be fired."""
        values = job.schedule_values
        schedule = self._schedules.get(values) or self._schedules.setdefault(values, job.schedule)
        planned = plan(job, now, self._statuses.get(job.pk, frozenset()), self._cover, schedule)
        found = Draft(job.pk, [], [], {}, planned.following, job.notify_on_missed)
        for one in planned.executions:
            row, rendered = new_row(job, one, now, self._worker_id, schedule, self._succeeded.get(job.pk))
            found.rows.append(row)
            if one.inside:
                found.held[row.id] = one.inside
            if row.status == Status.RUNNING:
                found.deliveries.append(self._delivery(job, row, rendered))
        return found

    def _delivery(self, job: Job, row: Row, rendered: Rendered) -> Delivery:
        return delivery_of(
            job,
            row.id,
            row.started_at,
            deliverable(rendered.target),
            rendered.content,
            teams=self._teams,
            worker_id=self._worker_id,
            scheduled_for=row.scheduled_for,
            deadline=start_deadline(job, row.started_at, row.scheduled_for),
        )


def _open_statuses(jobs: Iterable[Job]) -> dict[UUID, frozenset[str]]:
    """The statuses of open executions that no window holds, for the jobs whose overlap policy needs them."""
    asking = [job.pk for job in jobs if job.overlap_policy != OverlapPolicy.ALLOW]
    if not asking:
        return {}
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for job_id, status in (
        Execution.objects.filter(job__in=asking, status__in=OPEN, hold=None).order_by().values_list("job", "status")
    ):
        found[job_id].add(status)
    return {job_id: frozenset(statuses) for job_id, statuses in found.items()}
