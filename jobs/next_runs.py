"""Next fire times after an update of the time zone data: those that were stored follow the rules of before."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from jobs.models import Job, Revision, first_fire, schedule_columns, schedule_from
from jobs.schedules.crontab import CronError


def correct_next_runs() -> int:
    """Compute the coming fire times anew and write those that differ from the stored ones; returns how many. What is
    due stays due. A leader calls it when it begins, because a process reads the time zone data once.

    Jobs with equal schedules and next runs are one computation.
    """
    now = timezone.now()
    coming = Job.objects.on_schedule().filter(next_run_at__gt=now).order_by()
    columns = ("start_date", "end_date", "next_run_at", *schedule_columns())
    corrected = 0
    for row in list(coming.values_list(*columns).distinct()):
        start, end, stored, *values = row
        try:
            following = first_fire(schedule_from(*values), now, start, end)
        except CronError:
            # Firing puts it aside, and tells the admins.
            continue
        if following != stored:
            with transaction.atomic():
                same = coming.filter(**dict(zip(columns, row, strict=True)))
                corrected += same.update(next_run_at=following, updated_at=now)
                Revision.bump(edited=True)
    return corrected
