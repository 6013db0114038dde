"""The change log of jobs: who changed what, and which schedule was in force at a given time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.listener import plain
from audit.models import ChangeRecord
from core.runtime import request_context
from jobs.field_traits import JobField, job_fields, names
from jobs.models import Job
from jobs.signals import JobChange

_BATCH = 500


def snapshot(job: Job) -> dict[str, Any]:
    """A job's audited fields as plain values."""
    return {field.name: plain(getattr(job, field.name)) for field in job_fields() if field.traits.audited}


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """The fields that differ, with their values before and after; values that may hold secrets are masked."""
    return {
        field.name: [_outlined(field, before[field.name]), _outlined(field, after[field.name])]
        for field in job_fields()
        if field.name in before and before[field.name] != after[field.name]
    }


def schedule_of_job(job: Job) -> dict[str, Any]:
    """The fields that determine the fire times, as plain values."""
    return {name: plain(getattr(job, name)) for name in names(having="schedule")}


def record(changes: Sequence[JobChange]) -> None:
    """Write one record for each change."""
    ChangeRecord.objects.bulk_create([_record(change) for change in changes], batch_size=_BATCH)


def _record(change: JobChange) -> ChangeRecord:
    job = change.job
    return ChangeRecord(
        subject_id=job.pk,
        name=job.name,
        kind=change.kind,
        by=change.by,
        by_email=change.by.email if change.by else "",
        address=request_context.address() or None,
        difference=change.difference,
        schedule={
            **schedule_of_job(job),
            "calendar_id": plain(job.calendar_id),
            "is_active": job.is_active and change.kind != "deleted",
        },
    )


def _outlined(field: JobField, value: Any) -> Any:
    outline = field.traits.outline
    return outline(value) if outline else value
