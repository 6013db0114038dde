"""Jobs as files that `importjobs` and the bulk upload read again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import Any, TextIO

from jobs.cleaning import ALERT_FLAGS
from jobs.importing import TEMPLATE, dumps, quoted
from jobs.models import LIMITS, Job


def write_csv(jobs: Iterable[Job], out: TextIO) -> int:
    """Write jobs under the template's headers; returns how many. Mail settings, policies and owners are not part of it."""
    writer = csv.writer(out)
    writer.writerow(TEMPLATE.strip().split(","))
    count = 0
    for job in jobs:
        cells = [
            job.name,
            job.cron_expression,
            "enable" if job.is_active else "disable",
            job.target_url,
            job.github_owner,
        ]
        cells += [
            job.github_repo,
            job.github_workflow_name,
            job.category.slug,
            job.end_date.isoformat(),
            job.pic_team.slug,
        ]
        # A schedule such as @daily is what it looks like.
        writer.writerow(
            [cell if cell == job.cron_expression else quoted(cell) for cell in cells] + ["", dumps(job.metadata)]
        )
        count += 1
    return count


def write_json(jobs: Iterable[Job], out: TextIO) -> int:
    """Write a list of bodies as `POST /jobs` takes them; returns how many."""
    bodies = [body_of(job) for job in jobs]
    json.dump(bodies, out, ensure_ascii=False, indent=2)
    out.write("\n")
    return len(bodies)


def body_of(job: Job) -> dict[str, Any]:
    """A job as the body that creates it again."""
    return {
        "name": job.name,
        "cron_expression": job.cron_expression,
        **{name: value for name, value in job.target.columns().items() if value},
        "metadata": job.metadata,
        "category": job.category.slug,
        "end_date": job.end_date.isoformat(),
        "pic_team": job.pic_team.slug,
        "enable_email_notifications": job.enable_email_notifications,
        "notification_emails": job.notification_emails,
        "notify_on_success": job.notify_on_success,
        "is_active": job.is_active,
        "start_date": job.start_date.isoformat() if job.start_date else None,
        "misfire_policy": job.misfire_policy,
        "overlap_policy": job.overlap_policy,
        "retry_on": job.retry_on,
        "wait_for_run": job.wait_for_run,
        **{name: getattr(job, name) for name in ALERT_FLAGS},
        "github_ref": job.github_ref,
        "github_credential": job.github_credential.name if job.github_credential else "",
        **{name: getattr(job, name) for name in LIMITS},
    }
