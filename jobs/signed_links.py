"""Signed links that need no login: extend an ending job, hand it to another team, or remove an address from a job's
mail.

A reminder's link works once. It contains the end date and the team that the job had when the link was sent, and is
invalid after either changes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.core import signing
from django.db import transaction
from django.utils import timezone

from audit.models import ChangeRecord
from core.api.errors import Invalid
from jobs.models import Job, SpentLink, today
from jobs.services import change_by_link, get_job
from taxonomy.models import PicTeam

EXTENSION = dt.timedelta(days=30)
_SALT = "jobs.signed_links"
_ADDRESS_SALT = "jobs.signed_links.address"
_MAX_AGE = dt.timedelta(days=60)


def sign(job: Job) -> str:
    """The token of a link about a job."""
    return signing.dumps([str(job.pk), job.end_date.isoformat(), str(job.pic_team_id)], salt=_SALT)


def read(token: str, *, lock: bool = False) -> Job:
    """The job of a token. Raises `Invalid link` for a token that was used, has expired or was not issued here; `Job
    not found`.
    """
    try:
        job_id, end_date, team_id = signing.loads(token, salt=_SALT, max_age=_MAX_AGE)
    except signing.BadSignature:
        raise _invalid("This link is not valid, or is too old.") from None
    job = get_job(job_id, lock=lock)
    changed = job.end_date.isoformat() != end_date or str(job.pic_team_id) != team_id
    if changed or SpentLink.objects.filter(pk=_digest(token)).exists():
        raise _invalid("This link has been used, or the job was changed since: its end date or team is another now.")
    return job


@transaction.atomic
def extend(token: str) -> Job:
    """Extend the end date by 30 days, and enable the job if its end date had disabled it. The link is used up."""
    job = _spend(token)
    values: dict[str, Any] = {"end_date": max(job.end_date, today(job.shown_zone)) + EXTENSION}
    if not job.is_active and _was_paused_by_its_end(job):
        values["is_active"] = True
    return change_by_link(job, values)


def _was_paused_by_its_end(job: Job) -> bool:
    """Whether the end date, and not a user, disabled the job."""
    switched = ChangeRecord.objects.filter(subject_id=job.pk, kind__in=["enabled", "disabled", "expired"])
    return switched.values_list("kind", flat=True).first() == "expired"


@transaction.atomic
def hand_over(token: str, team: PicTeam) -> Job:
    """Assign the job to another team. The link is used up."""
    return change_by_link(_spend(token), {"pic_team": team})


def _spend(token: str) -> Job:
    """Lock the job of a token and mark the token as used."""
    job = read(token, lock=True)
    SpentLink.objects.create(pk=_digest(token))
    return job


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def delete_old() -> None:
    """Delete records of used links that have expired."""
    SpentLink.objects.filter(spent_at__lt=timezone.now() - _MAX_AGE).delete()


def sign_address(job: Job, address: str) -> str:
    """The token of a link that removes an address from a job's mail."""
    return signing.dumps([str(job.pk), address], salt=_ADDRESS_SALT)


def read_address(token: str, *, lock: bool = False) -> tuple[Job, str]:
    """The job and the address of a token. Raises `Invalid link`, `Job not found`."""
    try:
        job_id, address = signing.loads(token, salt=_ADDRESS_SALT)
    except signing.BadSignature:
        raise _invalid("This link is not valid.") from None
    return get_job(job_id, lock=lock), address


@transaction.atomic
def unsubscribe(token: str) -> Job:
    """Remove the address from the job's mail; does nothing if it is not listed."""
    job, address = read_address(token, lock=True)
    kept = [one for one in job.notification_emails if one != address]
    return change_by_link(job, {"notification_emails": kept}) if kept != job.notification_emails else job


def _invalid(message: str) -> Invalid:
    return Invalid("Invalid link", message)
