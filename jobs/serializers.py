"""What the API says and hears about jobs."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers

from contract import schema
from contract.times import local_iso, utc_ms
from jobs.models import Job, fire_within
from jobs.schedule import CronError


def next_execution_at(job: Job, now: dt.datetime) -> dt.datetime | None:
    """The next fire time to show: the one on the clock or, while nobody fires it, the first after `now`."""
    if job.next_run_at is None or job.next_run_at > now:
        return job.next_run_at
    try:
        return fire_within(job.schedule.next(now), job.end_date)
    except CronError:
        return None


class JobSerializer(schema.Representation[Job]):
    """A job as the API shows it. `to_representation` is written out, as lists of ten thousand are asked for every few seconds."""

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

    def to_representation(self, job: Job) -> dict[str, Any]:
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
            "category": job.category.slug,
            "end_date": job.end_date.isoformat(),
            "pic_team": job.pic_team.slug,
            "enable_email_notifications": job.enable_email_notifications,
            "notification_emails": job.notification_emails,
            "notify_on_success": job.notify_on_success,
            "created_by": str(job.created_by_id) if job.created_by_id else None,
            "is_active": job.is_active,
            "created_at": utc_ms(job.created_at),
            "updated_at": utc_ms(job.updated_at),
            "last_execution_at": utc_ms(job.last_execution_at),
            "next_execution_at": local_iso(next_execution_at(job, now), settings.SCHEDULER_ZONE),
            "last_status": job.last_status or None,
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


class JobBody(JobChanges):
    """A new job."""

    name = serializers.CharField(max_length=255)
    cron_expression = serializers.CharField(max_length=255)
    end_date = serializers.DateField()
    pic_team = serializers.CharField(help_text="Slug or name of the team.")


class ExpressionBody(serializers.Serializer[Any]):
    expression = serializers.CharField(help_text="A cron expression; `cron_expression` is read as well.")


class PreviewBody(ExpressionBody):
    count = serializers.IntegerField(default=5, min_value=1, max_value=20)
