"""The situations of jobs: what the latest runs of a job say, and the conditions under which a job needs attention.

Dashboard, tabs and filters share them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from console import kept
from executions.models import Status
from executions.statistics import queries, rollups
from executions.statistics.queries import Run
from jobs.models import ENDING_SOON, Job, today
from jobs.schedules.crontab import MANUALLY
from windows.cover import is_stopped

_LATE = dt.timedelta(seconds=10)
# A job flaps if, of its latest runs within seven days, at least this many failed and its outcome changed at least this
# often.
_COMPARED, _FAILURES, _CHANGES = 20, 3, 4
# The runs that a page reads to tell since when a job fails.
RUNS = 50
_LOOK_BACK = dt.timedelta(days=7)
# The jobs with the most failures that are looked at for flapping.
_CANDIDATES = 500


class Situation(NamedTuple):
    """What the latest runs of a job say. `failing_since`: the start of the first of the latest failures in a row;
    `is_longer`: whether the failures go on before the runs that were read.
    """

    failing_since: dt.datetime | None
    failures: int
    is_longer: bool
    is_flapping: bool

    @property
    def is_failing(self) -> bool:
        return self.failing_since is not None


def situation(runs: Sequence[Run], job: Job) -> Situation:
    """The situation of a job from its latest runs, oldest first. Where windows or closed days skipped all of them, its
    last outcome counts.
    """
    ended = _ended(runs)
    row = 0
    while row < len(ended) and ended[-1 - row].status == Status.FAILED:
        row += 1
    if not ended and job.last_status == Status.FAILED:
        return Situation(job.last_execution_at, 1, True, False)
    return Situation(ended[-row].started_at if row else None, row, 0 < row == len(ended), _flaps(_recent(ended)))


def _ended(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.status in (Status.SUCCESS, Status.FAILED)]


def _recent(ended: Sequence[Run]) -> list[Run]:
    border = timezone.now() - _LOOK_BACK
    return [run for run in ended if run.started_at >= border]


def _flaps(ended: Sequence[Run]) -> bool:
    latest = [run.status for run in ended[-_COMPARED:]]
    changes = sum(before != after for before, after in pairwise(latest))
    return latest.count(Status.FAILED) >= _FAILURES and changes >= _CHANGES


def state_of(job: Job, found: Situation, *, is_running: bool, is_inside: bool = False) -> tuple[str, str]:
    """The state of a job: the class of its colour, and a word. `is_inside`: a window keeps it from firing now."""
    if job.problem:
        return "failed", _("Cannot run")
    if is_running:
        return "running", _("Running")
    if not job.is_active:
        return "disabled", _("Disabled")
    if is_inside:
        return "skipped", _("Paused")
    if found.is_failing:
        return "failed", _("Failing")
    if found.is_flapping:
        return "missed", _("Flapping")
    return "success", _("Active")


def flapping_jobs() -> list[UUID]:
    """The jobs that flap, among the 500 with the most failures of the last seven days."""
    return kept.until_run(("flapping", today()), _flapping_jobs)


def _flapping_jobs() -> list[UUID]:
    failing = rollups.most_failing(timezone.now() - _LOOK_BACK, _CANDIDATES)
    candidates = [row["job_id"] for row in failing if row["failed"] >= _FAILURES]
    runs = queries.latest_runs(candidates, _COMPARED)
    return [job_id for job_id in candidates if _flaps(_recent(_ended(runs[job_id])))]


def condition(name: str, user: Any = None) -> Q | None:
    """The condition of the kind `name` as of now; None for an unknown one."""
    if name == "mine":
        return Q(created_by=user)
    found = _CONDITIONS.get(name)
    return found() if found else None


def _by_day(condition: Callable[[dt.date], Q]) -> Q:
    return Job.objects.by_day(condition)


_ACTIVE = Q(is_active=True)
_CONDITIONS: dict[str, Callable[[], Q]] = {
    "failing": lambda: _ACTIVE & Q(last_status=Status.FAILED),
    "flapping": lambda: _ACTIVE & Q(pk__in=flapping_jobs()) & ~Q(last_status=Status.FAILED),
    "paused": lambda: _ACTIVE & is_stopped(timezone.now()),
    "disabled": lambda: Q(is_active=False),
    "problem": lambda: ~Q(problem=""),
    "ending": lambda: _ACTIVE & _by_day(lambda day: Q(end_date__range=(day, day + ENDING_SOON))),
    "idle": lambda: _ACTIVE & Q(next_run_at__isnull=True) & ~Q(cron_expression=MANUALLY),
    "ended": lambda: Q(is_active=False) & _by_day(lambda day: Q(end_date__lt=day)),
    "unknown_team": lambda: _ACTIVE & Q(pic_team__is_active=False),
    "clock": lambda: _ACTIVE & Q(next_run_at__isnull=False),
    "late": lambda: _ACTIVE & Q(next_run_at__lt=timezone.now() - _LATE),
}
