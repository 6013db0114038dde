"""Records the nominal times that closed days skip, so that the history shows why nothing ran."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from executions.models import Status
from jobs.fields import OnClosedDay
from jobs.models import Job, Revision, schedule_columns, schedule_from
from jobs.schedules.schedule import CronError
from scheduler.drafts import Row, new_row
from scheduler.firing import CHUNK, store
from scheduler.leadership import Leader
from scheduler.policies import MOST_MOMENTS, Planned

# How far a new leader looks back. What is recorded already is not recorded again.
_LOOK_BACK = dt.timedelta(days=1)


class ClosedDays:
    """Looks at the schedules with closed days, from where it looked last."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._seen = timezone.now() - _LOOK_BACK

    def record(self) -> None:
        """Record what was skipped since the last look, at most the latest 100 times of a job. Raises `NotLeading`."""
        until = timezone.now()
        skipped: dict[tuple[Any, ...], list[tuple[dt.datetime, str]]] = {}
        for values in _with_closed_days().order_by().values_list(*schedule_columns()).distinct():
            try:
                found = list(islice(schedule_from(*values).skipped(self._seen, until), 10 * MOST_MOMENTS))
            except CronError:
                continue
            if found:
                skipped[values] = found[-MOST_MOMENTS:]
        if skipped:
            self._store(skipped)
        self._seen = until

    def _store(self, skipped: dict[tuple[Any, ...], list[tuple[dt.datetime, str]]]) -> None:
        expressions = {values[0] for values in skipped}
        jobs = _with_closed_days().filter(cron_expression__in=expressions).select_related("calendar")
        rows: defaultdict[int, list[Row]] = defaultdict(list)
        for number, job in enumerate(jobs.order_by("pk").iterator(CHUNK)):
            rows[number // CHUNK] += _rows(job, skipped.get(job.schedule_values, ()))
        for chunk in rows.values():
            with transaction.atomic():
                self._leader.check_fence()
                if store(chunk):
                    Revision.bump()


def _with_closed_days() -> QuerySet[Job]:
    return Job.objects.active().filter(calendar__isnull=False).exclude(on_closed_day=OnClosedDay.RUN)


def _rows(job: Job, skipped: Any) -> list[Row]:
    """The records of a job. Before its last edit, or its calendar's, other days were closed."""
    assert job.calendar is not None
    since, schedule = max(job.updated_at, job.calendar.updated_at), job.schedule
    return [
        new_row(job, Planned(moment, Status.SKIPPED, f"skipped: {why}"), moment, None, schedule)[0]
        for moment, why in skipped
        if moment > since and job.is_in_period(moment)
    ]
