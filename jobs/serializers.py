"""What the API says and hears about jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from rest_framework import serializers

from contract import schema
from contract.times import local_iso, utc_ms
from jobs.cleaning import ALERT_FLAGS
from jobs.importing import Import
from jobs.models import LIMITS, Job, MisfirePolicy, OverlapPolicy, RetryOn, fire_within, not_before
from jobs.schedule import CronError, schedule_of

_JSON = ("metadata", "notification_emails", "retry_on")


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> Any:
    """A JSON value, which nobody may change."""
    return orjson.loads(text)


class JobRow(NamedTuple):
    """The columns of a job that the API shows. Lists of ten thousand are asked for every few seconds: a model each is too dear."""

    id: UUID
    name: str
    cron_expression: str
    target_url: str
    github_owner: str
    github_repo: str
    github_workflow_name: str
    metadata: dict[str, Any]
    category__slug: str
    end_date: dt.date
    pic_team__slug: str
    enable_email_notifications: bool
    notification_emails: list[str]
    notify_on_success: bool
    created_by_id: UUID | None
    is_active: bool
    created_at: dt.datetime
    updated_at: dt.datetime
    last_execution_at: dt.datetime | None
    next_run_at: dt.datetime | None
    last_status: str
    start_date: dt.date | None
    misfire_policy: str
    misfire_grace_seconds: int
    overlap_policy: str
    timeout_seconds: int
    connect_timeout_seconds: int
    max_attempts: int
    retry_backoff_seconds: int
    retry_deadline_seconds: int
    retry_on: list[str]
    jitter_seconds: int
    run_limit_minutes: int
    alert_after_failures: int
    alert_window: int
    slow_after_seconds: int
    notify_on_recovery: bool
    notify_on_missed: bool
    slow_by_history: bool
    alert_slack: bool
    wait_for_run: bool
    github_ref: str
    github_credential__name: str | None
    problem: str

    @classmethod
    def of(cls, job: Job) -> JobRow:
        return cls(*(_value(job, name) for name in cls._fields))

    @classmethod
    def all_of(cls, jobs: QuerySet[Job]) -> Iterator[JobRow]:
        """One query for all of them. JSON is read as text: most jobs hold few different values, and each is parsed once."""
        columns = [Cast(name, TextField()) if name in _JSON else name for name in cls._fields]
        places = [cls._fields.index(name) for name in _JSON]
        for values in jobs.values_list(*columns):
            row = list(values)
            for place in places:
                row[place] = _parsed(row[place])
            yield cls._make(row)

    def next_execution_at(self, now: dt.datetime) -> dt.datetime | None:
        """The next fire time to show: the one on the clock or, while nobody fires it, the first after `now`."""
        if self.next_run_at is None or self.next_run_at > now:
            return self.next_run_at
        try:
            after = not_before(now, self.start_date)
            return fire_within(schedule_of(self.cron_expression).next(after), self.end_date)
        except CronError:
            return None


def _value(job: Job, name: str) -> Any:
    try:
        return attrgetter(name.replace("__", "."))(job)
    except AttributeError:
        # A relation that is not there.
        return None


def _policy_fields(**kwargs: Any) -> dict[str, Any]:
    """The serializer fields of a job's policies."""
    return {
        "start_date": serializers.DateField(allow_null=True, **kwargs),
        "misfire_policy": serializers.ChoiceField(MisfirePolicy.choices, **kwargs),
        "overlap_policy": serializers.ChoiceField(OverlapPolicy.choices, **kwargs),
        "wait_for_run": serializers.BooleanField(**kwargs),
        **{name: serializers.BooleanField(**kwargs) for name in ALERT_FLAGS},
        "github_ref": serializers.CharField(allow_null=True, max_length=255, **kwargs),
        "github_credential": serializers.CharField(
            allow_null=True, max_length=100, help_text="Its name; null for the installation's own token.", **kwargs
        ),
        "retry_on": serializers.ListField(child=serializers.ChoiceField(RetryOn.choices), **kwargs),
        **{
            name: serializers.IntegerField(min_value=least, max_value=most, **kwargs)
            for name, (least, most) in LIMITS.items()
        },
    }


class JobSerializer(schema.Representation[JobRow]):
    """A job as the API shows it."""

    id = serializers.UUIDField()
    name = serializers.CharField(max_length=255)
    cron_expression = serializers.CharField(max_length=255)
    target_url = serializers.CharField(allow_null=True)
    github_owner = serializers.CharField(allow_null=True)
    github_repo = serializers.CharField(allow_null=True)
    github_workflow_name = serializers.CharField(allow_null=True)
    metadata = serializers.DictField()
    category = serializers.SlugField(help_text="Slug of the category.")
    end_date = serializers.DateField()
    pic_team = serializers.SlugField(help_text="Slug of the PIC team.")
    enable_email_notifications = serializers.BooleanField()
    notification_emails = serializers.ListField(child=serializers.EmailField())
    notify_on_success = serializers.BooleanField()
    created_by = serializers.UUIDField(allow_null=True)
    is_active = serializers.BooleanField()
    created_at = schema.timestamp()
    updated_at = schema.timestamp()
    last_execution_at = schema.timestamp(allow_null=True)
    next_execution_at = schema.timestamp(allow_null=True, help_text="With the offset of the scheduler's zone.")
    last_status = serializers.CharField(allow_null=True)
    problem = serializers.CharField(allow_null=True, help_text="Why the scheduler cannot fire the job.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **_policy_fields()}

    def to_representation(self, job: JobRow) -> dict[str, Any]:
        now = self.context.get("now") or timezone.now()
        return {
            "id": str(job.id),
            "name": job.name,
            "cron_expression": job.cron_expression,
            "target_url": job.target_url or None,
            "github_owner": job.github_owner or None,
            "github_repo": job.github_repo or None,
            "github_workflow_name": job.github_workflow_name or None,
            "metadata": job.metadata,
            "category": job.category__slug,
            "end_date": job.end_date.isoformat(),
            "pic_team": job.pic_team__slug,
            "enable_email_notifications": job.enable_email_notifications,
            "notification_emails": job.notification_emails,
            "notify_on_success": job.notify_on_success,
            "created_by": str(job.created_by_id) if job.created_by_id else None,
            "is_active": job.is_active,
            "created_at": utc_ms(job.created_at),
            "updated_at": utc_ms(job.updated_at),
            "last_execution_at": utc_ms(job.last_execution_at),
            "next_execution_at": local_iso(job.next_execution_at(now), settings.SCHEDULER_ZONE),
            "last_status": job.last_status or None,
            "start_date": job.start_date.isoformat() if job.start_date else None,
            "misfire_policy": job.misfire_policy,
            "misfire_grace_seconds": job.misfire_grace_seconds,
            "overlap_policy": job.overlap_policy,
            "timeout_seconds": job.timeout_seconds,
            "connect_timeout_seconds": job.connect_timeout_seconds,
            "max_attempts": job.max_attempts,
            "retry_backoff_seconds": job.retry_backoff_seconds,
            "retry_deadline_seconds": job.retry_deadline_seconds,
            "retry_on": job.retry_on,
            "jitter_seconds": job.jitter_seconds,
            "wait_for_run": job.wait_for_run,
            "run_limit_minutes": job.run_limit_minutes,
            "alert_after_failures": job.alert_after_failures,
            "alert_window": job.alert_window,
            "slow_after_seconds": job.slow_after_seconds,
            "notify_on_recovery": job.notify_on_recovery,
            "notify_on_missed": job.notify_on_missed,
            "slow_by_history": job.slow_by_history,
            "alert_slack": job.alert_slack,
            "github_ref": job.github_ref or None,
            "github_credential": job.github_credential__name,
            "problem": job.problem or None,
        }


JOB_NAME = schema.shape("JobName", id=schema.text(), name=schema.text())


class JobChanges(serializers.Serializer[Any]):
    """The fields of a job that may be sent."""

    name = serializers.CharField(max_length=255, required=False)
    cron_expression = serializers.CharField(max_length=255, required=False)
    end_date = serializers.DateField(required=False)
    pic_team = serializers.CharField(required=False, help_text="Slug or name of the team.")
    target_url = serializers.CharField(required=False, allow_null=True, help_text="A URL given decides: a webhook.")
    github_owner = serializers.CharField(required=False, allow_null=True, max_length=100)
    github_repo = serializers.CharField(required=False, allow_null=True, max_length=100)
    github_workflow_name = serializers.CharField(required=False, allow_null=True, max_length=100)
    metadata = serializers.DictField(required=False, allow_null=True)
    category = serializers.CharField(required=False, allow_null=True, help_text="Slug or name; General by default.")
    enable_email_notifications = serializers.BooleanField(required=False)
    notification_emails = serializers.ListField(child=serializers.EmailField(), required=False)
    notify_on_success = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **_policy_fields(required=False)}


@schema.example(
    "A webhook on weekdays at nine",
    name="Nightly report",
    cron_expression="0 9 * * 1-5",
    end_date="2099-12-31",
    pic_team="qa-team",
    target_url="https://hooks.example.com/nightly",
    metadata={"report": "daily"},
)
class JobBody(JobChanges):
    """A new job."""

    name = serializers.CharField(max_length=255)
    cron_expression = serializers.CharField(max_length=255)
    end_date = serializers.DateField()
    pic_team = serializers.CharField(help_text="Slug or name of the team.")


@schema.example("Weekdays at nine", expression="0 9 * * 1-5")
class ExpressionBody(serializers.Serializer[Any]):
    expression = serializers.CharField(help_text="A cron expression; `cron_expression` is read as well.")


@schema.example("Weekdays at nine", expression="0 9 * * 1-5", count=5)
class PreviewBody(ExpressionBody):
    count = serializers.IntegerField(default=5, min_value=1, max_value=20)


class BulkBody(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="CSV; the first row names the columns.")
    dry_run = serializers.CharField(required=False, help_text="1, true, yes, y or on: check only.")
    default_github_owner = serializers.CharField(required=False, max_length=100)


BULK_ANSWER = schema.shape(
    "BulkAnswer",
    message=schema.text(),
    dry_run=schema.flag(),
    stats=schema.shape(
        "BulkStats",
        original_column_count=schema.whole(),
        original_row_count=schema.whole(),
        removed_column_count=schema.whole(),
        removed_empty_row_count=schema.whole(),
    ),
    created_count=schema.whole(),
    error_count=schema.whole(),
    errors=serializers.ListField(child=serializers.DictField()),
    jobs=serializers.ListField(child=serializers.DictField()),
)


def bulk_answer(found: Import, dry_run: bool, failed: bool) -> dict[str, Any]:
    """The answer to a bulk upload; with `error` where every row failed."""
    message = "CSV validated successfully" if dry_run else "Bulk upload processed"
    if failed:
        message = f"None of the {len(found.errors)} rows can be used: see 'errors'."
    body = {
        "message": message,
        "dry_run": dry_run,
        "stats": found.sheet.stats(),
        "created_count": 0 if dry_run else len(found.jobs),
        "error_count": len(found.errors),
        "errors": found.errors,
        "jobs": [_bulk_job(job, dry_run) for _, job in found.jobs],
    }
    return {"error": "CSV validation failed" if dry_run else "Bulk upload failed", **body} if failed else body


def _bulk_job(job: Job, dry_run: bool) -> dict[str, Any]:
    if not dry_run:
        return {"id": str(job.id), "name": job.name, "is_active": job.is_active}
    return {
        "name": job.name,
        "is_active": job.is_active,
        "cron_expression": job.cron_expression,
        "end_date": job.end_date.isoformat(),
        "pic_team": job.pic_team.slug,
    }
