"""Acknowledgements: somebody has seen that a job fails or flaps, so there are no reminders until it recovers.

One counts until the job's next success; while a job flaps, whose successes are no recovery, for a week or until a
reminder is sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.models import User
from audit import events
from audit.events import Event
from executions.models import Execution, Status
from jobs.models import Job
from notifications.models import Acknowledgement

_WHILE_FLAPPING = dt.timedelta(days=7)
# So that the index of a job's executions by their start serves.
_LONGEST_RUN = dt.timedelta(days=2)


@transaction.atomic
def acknowledge(job: Job, *, by: User, is_flapping: bool = False) -> bool:
    """Store that `by` has seen the job's failures. Returns False if an acknowledgement counts already."""
    if counting([job.pk], {job.pk} if is_flapping else set()):
        return False
    Acknowledgement.objects.update_or_create(job=job, defaults={"at": timezone.now(), "by": by})
    events.note(Event.ACKNOWLEDGED, job.name, by=by, about=job.pk)
    return True


def counting(job_ids: Sequence[UUID], flapping: set[UUID]) -> dict[UUID, Acknowledgement]:
    """The acknowledgements of these jobs that count; `flapping`: those of them that flap. One query."""
    # A run that was under way then may have ended since.
    after = Execution.objects.filter(job=OuterRef("pk"), started_at__gt=OuterRef("at") - _LONGEST_RUN)
    successes = after.filter(status=Status.SUCCESS, completed_at__gt=OuterRef("at"))
    reminded = Q(job__failure_state__reminded_at__gt=F("at"))
    in_force = ~Exists(successes) | (Q(job__in=flapping, at__gte=timezone.now() - _WHILE_FLAPPING) & ~reminded)
    found = Acknowledgement.objects.filter(in_force, job__in=job_ids).select_related("by")
    return {one.job_id: one for one in found}


# Of failure states: those whose failing period somebody has acknowledged.
ACKNOWLEDGED = {"job__acknowledgement__at__gte": F("since")}
