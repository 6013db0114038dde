"""`Cover`: the windows that count now, read once, and which of them an instant of a job is inside of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from django.utils import timezone

from jobs.models import Job
from windows.models import Effect, Window

# Of overlapping windows the strongest counts.
_STRENGTH = [Effect.HOLD, Effect.SKIP]


class Inside(NamedTuple):
    """The window that decides about an instant, and the end of its period (None: open-ended)."""

    window: Window
    until: dt.datetime | None


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
        """The strongest window around an instant of a job."""
        found = [
            Inside(scope.window, period[1])
            for scope in self._scopes
            if (period := scope.window.period_at(moment)) and scope.has(job)
        ]
        return max(found, key=lambda one: (_STRENGTH.index(Effect(one.window.effect)), one.window.pk.int), default=None)

    def over(self, job: Job) -> list[Window]:
        """The windows whose scope has a job."""
        return [scope.window for scope in self._scopes if scope.has(job)]
