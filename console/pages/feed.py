"""The coming runs of a job or a team as an iCalendar feed (RFC 5545), behind a signed address that needs no login.

A calendar program reads it again and again, so the address stays valid while its user's account is active.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from executions.batches import single_run
from jobs.models import Job, JobQuerySet, fire_within, not_before
from jobs.schedules.schedule import CronError
from taxonomy.models import PicTeam
from windows.cover import Cover

AHEAD = dt.timedelta(days=60)
# Jobs that run more often than this each day would bury the others.
MOST_A_DAY = 24
_MOST_JOBS, _MOST_EVENTS, _MOST_LOOKED_AT = 500, 2_000, 5_000
_SALT = "console.feed"
_SHOWN_AS = dt.timedelta(minutes=5)
_KINDS = ("job", "team")


class Fed(NamedTuple):
    """What a feed is about: its title, its jobs, and whether frequent jobs are left out."""

    title: str
    jobs: JobQuerySet
    without_frequent: bool


def address(kind: str, pk: UUID, user: User) -> str:
    """The address of the feed of a `job` or a `team` for a user."""
    # Without a time, so that the address of a feed is always the same.
    token = signing.Signer(salt=_SALT).sign_object([kind, str(pk), str(user.pk)], compress=True)
    return f"{settings.PUBLIC_URL}{reverse('feed', args=[token])}"


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The runs of the next 60 days, without those that closed days or windows skip."""
    answer = HttpResponse(_document(_read(token)), content_type="text/calendar; charset=utf-8")
    answer["Content-Disposition"] = 'inline; filename="cronsched.ics"'
    answer["Cache-Control"] = "private, max-age=900"
    return answer


def _read(token: str) -> Fed:
    """What a token stands for. Raises `Http404`: a calendar program shows no reasons."""
    try:
        kind, pk, user_id = signing.Signer(salt=_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError):
        raise Http404 from None
    if kind not in _KINDS or not User.objects.filter(pk=user_id, is_active=True).exists():
        raise Http404
    jobs = Job.objects.select_related("calendar").order_by("name", "pk")
    if kind == "job":
        job = Job.objects.filter(pk=pk).first()
        if job is None:
            raise Http404
        return Fed(job.name, jobs.filter(pk=pk), False)
    team = PicTeam.objects.filter(pk=pk).first()
    if team is None:
        raise Http404
    return Fed(team.name, jobs.filter(pic_team__pk=pk), True)


class _Run(NamedTuple):
    """A run in a feed. `uid`: what makes it one event, whenever the feed is read."""

    moment: dt.datetime
    uid: str
    job: Job


def _runs(fed: Fed) -> Iterator[_Run]:
    """The runs in order, at most 2,000; at most 5,000 times are looked at."""
    now = timezone.now()
    cover = Cover.now()
    jobs = list(fed.jobs.active()[:_MOST_JOBS])
    single = (
        _Run(one.at, f"{one.job.pk}-single-{one.pk}", one.job) for one in single_run.coming(fed.jobs, now, now + AHEAD)
    )
    fires = heapq.merge(*(_times(job, now, fed.without_frequent) for job in jobs), key=itemgetter(0))
    scheduled = (
        _Run(moment, f"{job.pk}-{int(moment.timestamp())}", job)
        for moment, job in islice(fires, _MOST_LOOKED_AT)
        if moment != job.skipped_run_at and cover.inside(job, moment) is None
    )
    return islice(heapq.merge(single, scheduled, key=itemgetter(0, 1)), _MOST_EVENTS)


def _times(job: Job, now: dt.datetime, without_frequent: bool) -> Iterator[tuple[dt.datetime, Job]]:
    if job.next_run_at is None:
        return
    try:
        schedule = job.schedule
        if without_frequent and len(schedule.tab.minutes) > MOST_A_DAY:
            return
        for moment in schedule.between(not_before(now, job.start_date, job.zone), now + AHEAD):
            if fire_within(moment, job.end_date, job.zone) is None:
                return
            yield moment, job
    except CronError:
        return


def _document(fed: Fed) -> bytes:
    # Here, because it takes 0.1 s to import, and every process imports the admin.
    from icalendar import Calendar, Event

    document = Calendar()
    for name, value in (
        ("prodid", "-//Cronsched//EN"),
        ("version", "2.0"),
        ("method", "PUBLISH"),
        ("x-wr-calname", f"Cronsched: {fed.title}"),
        ("refresh-interval;value=duration", "PT1H"),
    ):
        document.add(name, value)
    now = timezone.now()
    for run in _runs(fed):
        event, job = Event(), run.job
        event.add("uid", f"{run.uid}@cronsched")
        event.add("dtstamp", now)
        event.add("dtstart", run.moment)
        event.add("duration", _SHOWN_AS)
        event.add("summary", job.name)
        event.add("transp", "TRANSPARENT")
        event.add("url", f"{settings.PUBLIC_URL}{reverse('admin:jobs_job_view', args=[job.pk])}")
        document.add_component(event)
    content: bytes = document.to_ical()
    return content
