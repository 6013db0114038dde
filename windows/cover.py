"""`Cover`: the windows that count now, read once, and which of them an instant of a job is inside of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from django.db.models import Q
from django.utils import timezone

from jobs.models import Job
from windows.models import Effect, Window

# The effects that keep jobs from firing; of overlapping windows the strongest counts, which is the last.
STOPPING = (Effect.HOLD, Effect.SKIP)

# The columns of a job that decide whether a window covers it, and when.
OF_SCOPE = ("pic_team", "category", "github_owner", "github_repo", "target_url", "time_zone")
# Stands for the end of an open-ended window where an instant is stored.
OPEN_ENDED = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


class Inside(NamedTuple):
    """The window that decides about an instant, and the end of its period (None: open-ended)."""

    window: Window
    until: dt.datetime | None


def _longest(inside: Inside) -> tuple[dt.datetime, int]:
    return inside.until or OPEN_ENDED, inside.window.pk.int


class _Scope(NamedTuple):
    window: Window
    teams: frozenset[object]
    categories: frozenset[object]
    jobs: frozenset[object]
    repositories: frozenset[str]
    hosts: frozenset[str]

    def has(self, job: Job) -> bool:
        return (
            self.window.is_for_all
            or job.pk in self.jobs
            or job.pic_team_id in self.teams
            or job.category_id in self.categories
            or (bool(job.github_repo) and f"{job.github_owner}/{job.github_repo}".lower() in self.repositories)
            or (bool(job.target_url) and bool(self.hosts) and _host(job.target_url) in self.hosts)
        )


def stopping_windows(moment: dt.datetime) -> list[Window]:
    """The windows that keep jobs from firing and that run at a time or come after it, with their scopes."""
    found = Window.objects.not_over(moment).filter(effect__in=STOPPING)
    return list(found.prefetch_related("teams", "categories", "jobs"))


def may_cover(windows: Iterable[Window]) -> Q:
    """A condition on jobs that holds for every job in the scope of one of these windows, and for few others."""
    windows = list(windows)
    return _is_named(windows) | _may_be_called(windows)


def _is_named(windows: Iterable[Window]) -> Q:
    """The condition that a window names a job, its team, its category or its repository."""
    found = Q(pk__in=[])
    for window in windows:
        found |= Q(pic_team__in=window.teams.all()) | Q(category__in=window.categories.all())
        found |= Q(pk__in=[job.pk for job in window.jobs.all()])
        for repository in window.repositories:
            owner, _, name = str(repository).partition("/")
            found |= Q(github_owner__iexact=owner, github_repo__iexact=name)
    return found


def _may_be_called(windows: Iterable[Window]) -> Q:
    """A condition that holds for every job whose host a window names, and for few others."""
    found = Q(pk__in=[])
    for window in windows:
        for host in window.hosts:
            found |= Q(target_url__icontains=host)
    return found


def stopping_now(moment: dt.datetime) -> dict[str, list[Window]]:
    """The windows that keep jobs from firing at a time, by the jobs' `time_zone`; only '' (every zone) if none of them
    recurs.
    """
    windows = stopping_windows(moment)
    zones = {""}
    if any(window.cron_expression for window in windows):
        zones |= set(Job.objects.order_by().values_list("time_zone", flat=True).distinct())
    return {
        zone: [window for window in windows if window.period_at(moment, Job(time_zone=zone).shown_zone)]
        for zone in zones
    }


def is_stopped(moment: dt.datetime) -> Q:
    """The condition that a job is inside a window at a time, and does not fire."""
    found = stopping_now(moment)
    if len(found) == 1:
        return _is_inside(found[""])
    stopped = Q(pk__in=[])
    for zone, windows in found.items():
        stopped |= Q(time_zone=zone) & _is_inside(windows)
    return stopped


def _is_inside(windows: list[Window]) -> Q:
    """The condition that a job is in the scope of one of some windows."""
    if any(window.is_for_all for window in windows):
        return ~Q(pk__in=[])
    hosts = {host.lower() for window in windows for host in window.hosts}
    called = Job.objects.filter(_may_be_called(windows)).only("target_url") if hosts else ()
    return _is_named(windows) | Q(pk__in=[job.pk for job in called if _host(job.target_url) in hosts])


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


class Cover:
    """Some windows with their scopes."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._scopes = [
            _Scope(
                window,
                frozenset(team.pk for team in window.teams.all()),
                frozenset(category.pk for category in window.categories.all()),
                frozenset(job.pk for job in window.jobs.all()),
                frozenset(str(one).lower() for one in window.repositories),
                frozenset(str(one).lower() for one in window.hosts),
            )
            for window in windows
        ]

    @classmethod
    def since(cls, moment: dt.datetime) -> Cover:
        """The windows that ended after `moment`, run now or come, in one query for each kind of scope; one query if
        there are none.
        """
        return cls(Window.objects.not_over(moment).prefetch_related("teams", "categories", "jobs"))

    @classmethod
    def now(cls) -> Cover:
        return cls.since(timezone.now())

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def inside(self, job: Job, moment: dt.datetime) -> Inside | None:
        """The strongest window around an instant of a job that keeps it from firing."""
        found = self._around(job, moment, STOPPING)
        return max(found, key=lambda one: (STOPPING.index(Effect(one.window.effect)), *_longest(one)), default=None)

    def muting(self, job: Job, moment: dt.datetime) -> Inside | None:
        """The window around an instant of a job that mutes its alerts longest."""
        found = self._around(job, moment, (Effect.MUTE,))
        return max(found, key=_longest, default=None)

    def _around(self, job: Job, moment: dt.datetime, effects: tuple[Effect, ...]) -> list[Inside]:
        return [
            Inside(scope.window, period[1])
            for scope in self._scopes
            if scope.window.effect in effects
            and (period := scope.window.period_at(moment, job.shown_zone)) is not None
            and scope.has(job)
        ]

    def over(self, job: Job) -> list[Window]:
        """The windows whose scope has a job."""
        return [scope.window for scope in self._scopes if scope.has(job)]
