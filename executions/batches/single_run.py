"""Single runs: an execution of a job at one instant to come, beside its schedule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Conflict, Invalid, NotFound, invalid_field
from executions.batches import progress
from executions.models import Batch, BatchRun
from executions.services import read_overrides
from jobs.models import Job, Revision
from jobs.services import get_job, require_owner
from windows.cover import Cover

MOST_OF_JOB = 100


def plan(job_id: Any, data: Mapping[str, Any], *, by: User) -> BatchRun:
    """Let a job run at `at`, also an inactive one, with the overrides of `read_overrides`, but for a token. At that
    time the windows and the misfire policy decide, as for its fire times. Raises `Invalid payload`.
    """
    job = get_job(job_id)
    require_owner(job, by)
    at = payload.moment(data.get("at"), "at", job.zone)
    if at is None:
        raise invalid_field("at", "Send when it is to run, such as 2026-12-31T18:00:00+09:00.")
    if at <= timezone.now():
        raise invalid_field("at", "This time has passed: choose one to come, or run the job now.")
    if at.astimezone(job.zone).date() > job.end_date:
        raise invalid_field("at", f"The job ends on {job.end_date}: choose a time before, or set a later end date.")
    if data.get("github_token"):
        raise invalid_field("github_token", "A token is never stored: let the job use a credential.")
    overrides = read_overrides(job, data, by=by)
    stored: dict[str, Any] = {} if overrides.target == job.target else overrides.target.as_overrides()
    if overrides.metadata is not None:
        stored["metadata"] = overrides.metadata
    with transaction.atomic():
        if waiting(job).count() >= MOST_OF_JOB:
            raise Invalid("Invalid payload", f"The job has {MOST_OF_JOB} single runs to come already: cancel some.")
        title = f"{job.name[:160]}: {at.astimezone(job.zone):%Y-%m-%d %H:%M %Z}"
        batch = Batch.objects.create(title=title, by=by)
        run = BatchRun.objects.create(batch=batch, job_id=job.pk, due_at=at, overrides=stored or None)
        Revision.bump(edited=True)
    return run


def waiting(job: Job) -> Any:
    """The single runs of a job to come, in order."""
    return BatchRun.objects.waiting().single().filter(job_id=job.pk).select_related("batch__by")


class Coming(NamedTuple):
    """A single run to come: its time, its job, and its id."""

    at: dt.datetime
    job: Job
    pk: int


def coming(jobs: QuerySet[Job], first: dt.datetime, last: dt.datetime) -> list[Coming]:
    """The single runs of some jobs that run within [first, last), in order, without those that windows skip or hold.
    Three queries; one if there are none.
    """
    runs = BatchRun.objects.waiting().single().filter(job_id__in=jobs.order_by().values("pk"))
    due = list(runs.filter(due_at__gte=first, due_at__lt=last).values_list("due_at", "job_id", "pk"))
    if not due:
        return []
    named, cover = jobs.in_bulk({job_id for _at, job_id, _pk in due}), Cover.since(first)
    found = [Coming(at, named[job_id], pk) for at, job_id, pk in due if job_id in named]
    return [one for one in found if cover.inside(one.job, one.at) is None]


def cancel(job: Job, run_id: Any, *, by: User) -> None:
    """Cancel a single run that has not started. Raises `Single run not found`, `Single run already started` or `Batch
    already ended`.
    """
    message = f"There is no single run '{run_id}' of this job."
    number = int(run_id) if str(run_id).isascii() and str(run_id).isdecimal() and len(str(run_id)) < 19 else 0
    run = BatchRun.objects.single().filter(job_id=job.pk, pk=number).select_related("batch").first()
    if run is None:
        raise NotFound("Single run not found", message)
    if run.problem:
        raise Conflict("Single run already started", f"It could not be started: {run.problem}")
    if run.execution_id:
        raise Conflict("Single run already started", "It has started: cancel its execution.")
    progress.cancel(run.batch, by=by)
    Revision.bump(edited=True)
