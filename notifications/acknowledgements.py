"""Acknowledgements: somebody has seen that a job fails or flaps, so there are no reminders until it recovers.

One counts until the job's next success; while a job flaps, for a week, as its successes are no recovery.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from accounts.models import User
from audit import events
from audit.events import Event
from executions.models import Execution, Status
from jobs.models import Job
from notifications.models import Acknowledgement

_WHILE_FLAPPING = dt.timedelta(days=7)


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
    successes = Execution.objects.filter(job=OuterRef("pk"), status=Status.SUCCESS, started_at__gt=OuterRef("at"))
    found = Acknowledgement.objects.filter(job__in=job_ids).annotate(has_recovered=Exists(successes))
    border = timezone.now() - _WHILE_FLAPPING
    return {
        one.job_id: one
        for one in found.select_related("by")
        if not one.has_recovered or (one.job_id in flapping and one.at >= border)
    }


# Of failure states: those whose failing period somebody has acknowledged.
ACKNOWLEDGED = {"job__acknowledgement__at__gte": F("since")}
