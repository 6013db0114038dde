"""Operations on jobs. Each is one transaction: it validates everything, then writes, or raises a `DomainError`."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Conflict, Forbidden, NotFound
from jobs import change_log, secret_uses, validation
from jobs.field_traits import job_fields, names
from jobs.input import check_not_ended, clean_changes, clean_new, of_request
from jobs.models import Job, Revision
from jobs.schedules.schedule import Schedule
from jobs.signals import ChangeKind, JobChange, announce
from jobs.targets.kinds import searched_columns
from taxonomy.models import PicTeam


@transaction.atomic
def create_job(data: Mapping[str, Any], *, by: User | None) -> Job:
    """Create a job from the contract's fields. Its first fire time is strictly after now."""
    job = Job(**clean_new(data, by=by), created_by=by)
    return add_jobs([job], by=by)[0]


@transaction.atomic
def add_jobs(jobs: list[Job], *, by: User | None, bulk: bool = False) -> list[Job]:
    """Store new, validated jobs with their first fire times. Raises `Duplicate job name` if a name was taken in the
    meantime.
    """
    now = timezone.now()
    for job in jobs:
        job.next_run_at = job.next_fire(now)
    try:
        with transaction.atomic():
            Job.objects.bulk_create(jobs, batch_size=500)
    except IntegrityError as exc:
        taken = Job.objects.filter(name__in=[job.name for job in jobs[:500]]).values_list("name", flat=True).first()
        raise validation.duplicate_name(taken or jobs[0].name) from exc
    secret_uses.record(jobs)
    Revision.bump(edited=True)
    _tell([JobChange("created", job, by) for job in jobs], bulk=bulk)
    return jobs


@transaction.atomic
def update_job(job_id: Any, data: Mapping[str, Any], *, by: User) -> Job:
    """Change the given fields. Changes apply at once, but a fire time that is already due still fires."""
    job = get_job(job_id, lock=True)
    require_owner(job, by)
    return _store(job, clean_changes(job, data, by=by), by)


@transaction.atomic
def restore(job_id: Any, data: Mapping[str, Any], changed_at: dt.datetime, *, by: User) -> Job:
    """Give columns their former values back, also those that could not be chosen now, such as an end date that has
    passed. Raises `Changed since` if the job was changed after `changed_at`.
    """
    job = get_job(job_id, lock=True)
    require_owner(job, by)
    if job.updated_at != changed_at:
        raise Conflict("Changed since", "Somebody has changed the job since.")
    columns: dict[str, Any] = {name: Job._meta.get_field(name) for name in data}
    values = {columns[name].attname: columns[name].to_python(value) for name, value in data.items()}
    check_not_ended(job, values)
    return _store(job, values, by)


@transaction.atomic
def change_by_link(job: Job, values: Mapping[str, Any]) -> Job:
    """Change a locked job on behalf of the holder of a signed link (`jobs.signed_links`); the change log records the
    address instead of an account.
    """
    return _store(job, values, None)


@transaction.atomic
def set_active(job: Job, active: bool, *, by: User | None) -> Job:
    """Enable or disable one job. Enabling after the end date raises `Job expired`."""
    job = get_job(job.pk, lock=True)
    check_not_ended(job, {"is_active": active})
    return _store(job, {"is_active": active}, by)


@transaction.atomic
def extend(job: Job, months: int, *, by: User) -> Job:
    """Move the end date of a job by months, from today if it has passed; at most to the last day of that month."""
    stored = get_job(job.pk, lock=True)
    first = max(stored.end_date, timezone.now().astimezone(stored.shown_zone).date())
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    year = min(year, dt.MAXYEAR)
    day = min(first.day, calendar.monthrange(year, month + 1)[1])
    return update_job(job.pk, {"end_date": dt.date(year, month + 1, day).isoformat()}, by=by)


@transaction.atomic
def skip_next_run(job: Job, *, by: User, expected: str = "") -> Job:
    """Skip the next run of a job: its fire time is recorded as skipped. `expected` is the time (ISO 8601) that was
    shown. Raises `No next run`, also if the next run is another one by now.
    """
    job = get_job(job.pk, lock=True)
    require_owner(job, by)
    if job.next_run_at is None:
        raise Conflict("No next run", "The job has no next run.")
    if expected and job.next_run_at.isoformat() != expected:
        raise Conflict("No next run", "That run has started already: look at the next one.")
    return _set_skipped(job, job.next_run_at)


@transaction.atomic
def run_next_after_all(job: Job, *, by: User) -> Job:
    """Take back that the next run is skipped."""
    job = get_job(job.pk, lock=True)
    require_owner(job, by)
    return _set_skipped(job, None)


def _set_skipped(job: Job, moment: dt.datetime | None) -> Job:
    Job.objects.filter(pk=job.pk).update(skipped_run_at=moment)
    job.skipped_run_at = moment
    Revision.bump(edited=True)
    return job


@transaction.atomic
def delete_job(job_id: Any, *, by: User) -> Job:
    """Delete a job and its executions. Returns the deleted job's values."""
    # Not locked: transactions that end executions lock these first, and then their jobs.
    job = get_job(job_id)
    require_owner(job, by)
    remove_jobs([job], by=by)
    return job


@transaction.atomic
def remove_jobs(jobs: Iterable[Job], *, by: User) -> None:
    """Delete jobs and their executions. They are gone at once; a long history is deleted in small steps afterwards, so
    that it holds up no other transaction.
    """
    jobs = list(jobs)
    # First, because its receivers lock executions before jobs, in the order of transactions that end executions.
    _tell([JobChange("deleted", job, by) for job in jobs])
    now = timezone.now()
    for job in jobs:
        # The row stays if the job has a long history. Its name is free for a new job.
        Job.objects.filter(pk=job.pk).update(
            deleted_at=now, is_active=False, next_run_at=None, name=f"{job.name[:200]} {job.pk}"
        )
    secret_uses.forget([job.pk for job in jobs])
    Revision.bump(edited=True)


@transaction.atomic
def pause_expired() -> list[Job]:
    """Disable the active jobs whose end date has passed, and announce it. Returns them.

    A job with a due fire time is left active until that has fired or was recorded as missed.
    """
    ended = Job.objects.active().expired().exclude(next_run_at__lte=timezone.now())
    jobs = list(ended.select_for_update(of=("self",)).select_related("pic_team", "created_by"))
    if jobs:
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
            is_active=False, next_run_at=None, updated_at=timezone.now()
        )
        Revision.bump(edited=True)
        for job in jobs:
            job.is_active = False
        _tell([JobChange("expired", job, difference={"is_active": [True, False]}) for job in jobs])
    return jobs


def get_job(job_id: Any, *, lock: bool = False) -> Job:
    """The job with this id. Raises `Job not found`."""
    message = f"There is no job with the id '{job_id}'."
    jobs = Job.objects.select_related("category", "pic_team", "created_by")
    if lock:
        jobs = jobs.select_for_update(of=("self",))
    job = jobs.filter(pk=payload.uuid_or_404(job_id, "Job not found", message)).first()
    if job is None:
        raise NotFound("Job not found", message)
    return job


def trial_schedule(expression: Any, data: Mapping[str, Any], *, field: str = "cron_expression") -> Schedule:
    """The schedule that a job with these fields would have. Raises the contract's error for the first invalid field."""
    chosen = {name: data[name] for name in names(having="times") if name in data and name != "cron_expression"}
    job = Job(
        cron_expression=validation.cron_text(expression, field=field), **validation.policies(chosen, start_before=None)
    )
    validation.schedule(job, field=field)
    return job.schedule


def may_touch(job: Job, user: User) -> bool:
    """Whether a user may edit, delete and run a job: admins every job, users their own."""
    return user.is_admin or (user.may_create_jobs and job.created_by_id == user.pk)


def may_read_secrets(owner_id: Any, reader: User | None) -> bool:
    """Whether somebody sees the metadata and URLs of a job in clear: its owner and admins; None is an operator."""
    return reader is None or reader.is_admin or str(owner_id) == str(reader.pk)


def masked_for(job: Job, reader: User | None) -> Job:
    """The job, with secret values masked for whoever may not read them. It is only to be shown, never to be saved."""
    if not may_read_secrets(job.created_by_id, reader):
        for field in job_fields():
            if field.traits.masked:
                setattr(job, field.name, field.traits.masked(getattr(job, field.name)))
    return job


def search(jobs: QuerySet[Job], text: str, reader: User) -> QuerySet[Job]:
    """Jobs with this text in their name, team or target. URLs are searched where the reader may read them in clear:
    otherwise somebody could find out a secret letter by letter.
    """
    if not text:
        return jobs
    # Not by a join, which would look up a team for each job.
    found = Q(name__icontains=text) | Q(pic_team__in=PicTeam.objects.filter(name__icontains=text).values("pk"))
    for name in searched_columns():
        fits = Q(**{f"{name}__icontains": text})
        found |= fits if name != "target_url" or reader.is_admin else fits & Q(created_by=reader)
    return jobs.filter(found)


def require_owner(job: Job, user: User) -> None:
    """Raise `Insufficient permissions` unless `may_touch`."""
    if not may_touch(job, user):
        raise Forbidden("Insufficient permissions", "Only the job's creator and admins may do this.")


def _store(job: Job, values: Mapping[str, Any], by: User | None) -> Job:
    """Write validated values and recompute `next_run_at`: never into the past, and a fire time that is already due
    stays due.
    """
    was_active, before, schedule_before = job.is_active, change_log.snapshot(job), change_log.schedule_of_job(job)
    for name, value in values.items():
        setattr(job, name, value)
    if job.problem or schedule_before != change_log.schedule_of_job(job):
        job.next_run_at = _rescheduled(job, was_active, timezone.now())
    job.problem = ""
    try:
        with transaction.atomic():
            job.save()
    except IntegrityError as exc:
        raise validation.duplicate_name(job.name) from exc
    if of_request() & values.keys():
        secret_uses.record([job])
    Revision.bump(edited=True)
    kind: ChangeKind = "updated"
    if job.is_active != was_active:
        kind = "enabled" if job.is_active else "disabled"
    _tell([JobChange(kind, job, by, change_log.difference(before, change_log.snapshot(job)))])
    return job


def _tell(changes: list[JobChange], *, bulk: bool = False) -> None:
    change_log.record(changes)
    announce(changes, bulk=bulk)


def _rescheduled(job: Job, was_active: bool, now: dt.datetime) -> dt.datetime | None:
    due = was_active and job.is_active and job.next_run_at is not None and job.next_run_at <= now
    return job.next_run_at if due else job.next_fire(now)
