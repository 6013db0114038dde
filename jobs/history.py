"""The trail of changes: who did what to a job, and which schedule was in force when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yarl import URL

from contract import caller
from jobs.models import LIMITS, ChangeRecord, Job
from jobs.signals import JobChange

TRACKED = (
    "name", "cron_expression", "target_url", "github_owner", "github_repo", "github_workflow_name", "github_ref", "github_credential", "wait_for_run", "metadata", "category", "pic_team",
    "start_date", "end_date", "misfire_policy", "overlap_policy", "retry_on", *LIMITS, "enable_email_notifications", "notification_emails",
    "notify_on_success", "notify_on_recovery", "notify_on_missed", "slow_by_history", "alert_slack", "is_active",
)  # fmt: skip
_BATCH = 500


def snapshot(job: Job) -> dict[str, Any]:
    """A job's tracked fields as plain values."""
    return {name: _plain(getattr(job, name)) for name in TRACKED}


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """The fields that differ, each with what it was and what it is. What may hold secrets is told in outline."""
    return {
        name: [_shown(name, before[name]), _shown(name, after[name])] for name in TRACKED if before[name] != after[name]
    }


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
        address=caller.address() or None,
        difference=change.difference,
        schedule={
            "cron_expression": job.cron_expression,
            "is_active": job.is_active and change.kind != "deleted",
            "start_date": _plain(job.start_date),
            "end_date": _plain(job.end_date),
        },
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | str | list | dict) or value is None else str(value)


def _shown(name: str, value: Any) -> Any:
    if name == "metadata":
        return sorted(value)
    if name == "target_url" and value:
        return str(URL(value).with_query(None).with_user(None))
    return value
