"""Reconciliation: making the clock equal the database."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count
from django.utils import timezone

from contract.times import utc_ms
from jobs.models import Job, Revision
from jobs.schedule import CronError, Schedule, schedule_of
from jobs.services import pause_expired
from notifications.events import tell_of_problem
from scheduler.clock import Clock

log = logging.getLogger("cronsched.reconcile")


@dataclass(frozen=True)
class Report:
    """What a full pass found and did. Counts are of jobs; `orphaned_removed` counts entries of the clock that no job uses."""

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
    """Knows which schedules are on the clock, and for how many jobs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs_on: dict[str, int] = {}
        self._revision: int | None = None

    def incremental(self) -> bool:
        """Take up new schedules if the revision says that jobs changed; returns whether they did."""
        revision = Revision.current()
        if revision == self._revision:
            return False
        self._take_up()
        self._revision = revision
        return True

    def full(self) -> Report:
        """Pause what has expired, give a fire time to active jobs that lack one, and make the clock equal the database."""
        ran_at = timezone.now()
        revision = Revision.current()
        paused = pause_expired()
        repair()
        before = dict(self._jobs_on)
        orphaned, invalid = self._take_up()
        self._revision = revision
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

    def _take_up(self) -> tuple[int, int]:
        in_use = Job.objects.active().order_by().values_list("cron_expression").annotate(jobs=Count("id"))
        schedules: list[Schedule] = []
        self._jobs_on, invalid = {}, 0
        for expression, count in in_use:
            try:
                schedules.append(schedule_of(expression))
                self._jobs_on[expression] = count
            except CronError as exc:
                invalid += count
                log.warning("%d active jobs have the unusable schedule %r: %s", count, expression, exc)
        _, removed = self._clock.hold(schedules)
        return removed, invalid


def repair() -> int:
    """Give active jobs without a fire time (edited by hand, or once unusable) their next one; returns how many."""
    repaired = 0
    now = timezone.now()
    for job in Job.objects.active().filter(next_run_at=None).iterator():
        try:
            following = job.next_fire(now)
        except CronError as exc:
            if not job.problem:
                Job.objects.filter(pk=job.pk).update(problem=str(exc)[:500])
                tell_of_problem(job.pk, job.name, str(exc))
            continue
        if following is not None:
            repaired += (
                Job.objects.active().filter(pk=job.pk, next_run_at=None).update(next_run_at=following, problem="")
            )
    return repaired
