"""The forecast of the limit of calls at once to one host: the minutes in which calls wait for it, and for how long."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.conf import settings
from django.db.models import QuerySet, Value
from django.db.models.functions import Concat, StrIndex, Substr
from django.utils import timezone
from django.utils.translation import gettext as _

from console import forecast, kept
from executions.statistics import rollups
from executions.targets.webhook.target import WebhookTarget
from jobs.models import Job

_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)


class Crowd(NamedTuple):
    """More calls of one host in a minute than may be made at once."""

    at: dt.datetime
    host: str
    calls: int


def crowds(day: dt.date) -> list[str]:
    """The minutes of a day in which calls wait for the limit of their host, in words."""
    return _told(_crowds([day]))


def coming_crowds(minutes: int) -> list[str]:
    """The same for the coming minutes."""
    now = timezone.now()
    until = now + minutes * _MINUTE
    days = sorted({moment.astimezone(settings.SCHEDULER_ZONE).date() for moment in (now, until)})
    return _told([crowd for crowd in _crowds(days) if now < crowd.at <= until])


def _crowds(days: list[dt.date]) -> list[Crowd]:
    return kept.until_edited(("calls of hosts", *days), lambda: _counted(days))


def _counted(days: list[dt.date]) -> list[Crowd]:
    limit = settings.ENGINE_CONCURRENCY_PER_HOST
    jobs = Job.objects.on_schedule().filter(target_kind=WebhookTarget.kind)
    if jobs.count() <= limit:
        return []
    crowded = jobs.filter(cron_expression__in=_crowded_expressions(days, limit))
    of_hosts = list(_by_host(forecast.groups(_with_origin(crowded), "origin")))
    counts = sum((forecast.by_minute(of_hosts, day) for day in days), Counter[tuple[dt.datetime, str]]())
    return [Crowd(*key, calls) for key, calls in sorted(counts.items()) if calls > limit]


def _crowded_expressions(days: list[dt.date], limit: int) -> set[str]:
    """The schedules of the minutes at which more jobs run than one host may be called at once."""
    groups = forecast.groups(Job.objects.all(), "is_active")
    found = set()
    for day in days:
        runs = [(group, group.minutes_of(day)) for group in groups]
        jobs = Counter[int]()
        for group, minutes in runs:
            jobs.update(dict.fromkeys(minutes, group.jobs))
        crowded = {minute for minute, number in jobs.items() if number > limit}
        found |= {group.schedule.expression for group, minutes in runs if not crowded.isdisjoint(minutes)}
    return found


def _by_host(groups: Iterable[forecast.Group]) -> Iterator[forecast.Group]:
    for group in groups:
        try:
            yield group._replace(lane=WebhookTarget(group.lane).host)
        except ValueError:
            # Its calls fail before they need a slot.
            continue


def _with_origin(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Jobs with the scheme and authority of their URL, so that those of one host are counted by the database."""
    begin = StrIndex("target_url", Value("//"))
    rest = Concat(Substr("target_url", begin + 2), Value("/"))
    return jobs.annotate(origin=Substr("target_url", 1, begin + StrIndex(rest, Value("/"))))


def _told(crowds: list[Crowd]) -> list[str]:
    seconds = rollups.mean_seconds(WebhookTarget.kind, timezone.now() - _DAY) if crowds else None
    return [_words(crowd, seconds) for crowd in crowds]


def _words(crowd: Crowd, seconds: float | None) -> str:
    """`seconds`: how long a call takes; None if it is not known."""
    limit = settings.ENGINE_CONCURRENCY_PER_HOST
    shown = {
        "count": f"{crowd.calls:,}",
        "host": crowd.host.removesuffix(":443").removesuffix(":80"),
        "time": forecast.clock(crowd.at),
        "limit": f"{limit:,}",
    }
    told = _("%(count)s calls of %(host)s at %(time)s, of which %(limit)s are made at once") % shown
    if seconds is None:
        return told
    waits = math.ceil(crowd.calls / limit) - 1
    return told + _("; the last begins about %(seconds)s s later") % {"seconds": f"{waits * seconds:,.1f}"}
