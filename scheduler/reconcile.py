"""Reconciliation: makes the clock equal the database."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from calendars.models import Calendar
from core.api.timestamps import utc_ms
from jobs.models import Job, Revision, schedule_columns, schedule_from
from jobs.schedules.schedule import CronError, Schedule
from jobs.services import pause_expired
from notifications.routing import notify_unschedulable
from scheduler.clock import Clock

log = logging.getLogger("cronsched.reconcile")
# Jobs may be edited on another host.
_CLOCKS_DIFFER_BY = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Report:
    """The result of a full pass. Numbers are jobs; `orphaned_removed` counts entries of the clock that no job uses."""

    ran_at: str
    db_jobs_total: int
    db_jobs_active: int
    scheduled_now: int
    scheduled_added: int
    scheduled_removed: int
    expired_auto_paused: int
    orphaned_removed: int
    invalid_cron: int

    def body(self) -> dict[str, Any]:
        return asdict(self)


class Reconciler:
    """Knows the schedules on the clock, and the number of jobs of each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs_on: dict[str, int] = {}
        self._seen = (-1, -1)
        self._looked_at = timezone.now()

    def incremental(self) -> bool:
        """Add the schedules of jobs edited since the last pass; returns whether anything changed.

        Only the full pass removes unused entries.
        """
        now, seen = timezone.now(), Revision.both()
        if seen == self._seen:
            return False
        if seen[1] != self._seen[1]:
            edited = Job.objects.on_schedule().filter(updated_at__gte=self._looked_at - _CLOCKS_DIFFER_BY).order_by()
            schedules, _ = _usable(_schedules_of(edited))
            self._clock.add(schedules)
            self._looked_at = now
        self._seen = seen
        return True

    def full(self) -> Report:
        """Disable expired jobs, set missing fire times, and make the clock equal the database."""
        ran_at = timezone.now()
        seen = Revision.both()
        paused = pause_expired()
        repair()
        before = dict(self._jobs_on)
        in_use = _schedules_of(Job.objects.on_schedule().order_by())
        schedules, self._jobs_on = _usable(in_use)
        invalid = sum(row[-1] for row in in_use) - sum(self._jobs_on.values())
        _, orphaned = self._clock.hold(schedules)
        self._seen, self._looked_at = seen, ran_at
        now = self._jobs_on
        total, active = Job.objects.count(), Job.objects.active().count()
        return Report(
            ran_at=utc_ms(ran_at) or "",
            db_jobs_total=total,
            db_jobs_active=active,
            scheduled_now=sum(now.values()),
            scheduled_added=sum(max(0, count - before.get(key, 0)) for key, count in now.items()),
            scheduled_removed=sum(max(0, count - now.get(key, 0)) for key, count in before.items()),
            expired_auto_paused=len(paused),
            orphaned_removed=orphaned,
            invalid_cron=invalid,
        )


def _schedules_of(jobs: QuerySet[Job]) -> list[tuple[Any, ...]]:
    """The values of `schedule_columns` of some jobs, and the number of jobs of each."""
    columns = list(schedule_columns())
    place = columns.index("calendar__version")
    # Without a join for each job: there are few calendars.
    versions = dict(Calendar.objects.values_list("pk", "version"))
    del columns[place]
    calendar = columns.index("calendar")
    rows = jobs.values_list(*columns).annotate(jobs=Count("id"))
    return [(*row[:place], versions.get(row[calendar]), *row[place:]) for row in rows]


def _usable(rows: Iterable[tuple[Any, ...]]) -> tuple[list[Schedule], dict[str, int]]:
    """The schedules of valid values, and the number of jobs of each by its key."""
    schedules: list[Schedule] = []
    counts: Counter[str] = Counter()
    for *values, count in rows:
        try:
            schedule = schedule_from(*values)
        except CronError as exc:
            log.warning("%d active jobs have the unusable schedule %r: %s", count, values[0], exc)
        else:
            schedules.append(schedule)
            counts[schedule.key] += count
    return schedules, counts


def repair() -> int:
    """Set the next fire time of active jobs that have none (edited by hand); returns how many.

    A job that was suspended for a problem stays so until it is edited.
    """
    repaired = 0
    now = timezone.now()
    lacking = Job.objects.on_schedule().filter(next_run_at=None, problem="")
    for pk, name in list(lacking.order_by().values_list("pk", "name")):
        try:
            following = Job.objects.get(pk=pk).next_fire(now)
        except Job.DoesNotExist:
            continue
        except (ValueError, TypeError, OverflowError) as exc:
            Job.objects.filter(pk=pk).update(problem=str(exc)[:500])
            notify_unschedulable(pk, name, str(exc))
            continue
        if following is not None:
            repaired += lacking.filter(pk=pk).update(next_run_at=following)
    return repaired
