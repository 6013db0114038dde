"""Planning ahead: drafts of the fire times of the next seconds, so that little is left to do at the instant itself.

At the instant firing still decides by the database: it locks the jobs that are due, and takes a draft only where
nothing was edited since it was made. Where more than edits decides (an overlap policy that looks at open executions,
windows, jitter, a budget, the last success), the draft is made at the instant.

What it buys: docs/benchmarks.md.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from core.db.among import among
from executions import backends
from executions.delivery.carry_out import Teams, read_teams
from executions.http.connection import DeliveryError
from jobs.content import asks_for_success
from jobs.fields import OverlapPolicy
from jobs.models import Job, Revision
from scheduler.drafts import UNUSABLE, Draft, Drafter, read
from windows.cover import Cover

# How far it looks ahead, and how near a fire time is left to the instant.
_AHEAD = dt.timedelta(seconds=10)
_TOO_NEAR = dt.timedelta(seconds=0.3)
# When connections are opened. `prepare` is called every second.
_OPENED = dt.timedelta(seconds=1.5)
# A fire time that is fired later than this is decided about then. The last of 50,000 are fired half a minute late.
_LATEST = dt.timedelta(seconds=60)
# Bounds the memory of drafts: their number, and the bytes of their requests. A draft takes 3 KiB more, and with a body
# of JSON up to sixteen times its bytes.
_MOST = 50_000
_MOST_BYTES = 64 * 2**20
# How long one step holds the interpreter lock.
_STEP = 250
_PAUSE_SECONDS = 0.005
_NEVER = -1
_WITHOUT = (None, None)


class _Drafts(NamedTuple):
    """The next fire time of jobs with its draft, None for one to be made at the instant; and by what state of the
    database.
    """

    edits: int
    teams: Teams
    by_job: dict[UUID, tuple[dt.datetime, Draft | None]]


class Ahead:
    """The drafts of a leader. One thread calls `prepare`; another `take`, which removes what it takes, and `fired`."""

    def __init__(self) -> None:
        self._drafts = _Drafts(_NEVER, {}, {})
        # What is due up to here was looked up.
        self._looked_until = timezone.now()
        self._look_again = threading.Event()
        self._opened_until = timezone.now()
        self._stop = threading.Event()

    def prepare(self) -> None:
        """Draft the fire times of the next seconds that have no draft yet, and open connections for the next calls.
        While edits follow one another, nothing is drafted: the next edit would void it.
        """
        before = self._drafts.edits
        drafts = self._current()
        if before in {_NEVER, drafts.edits}:
            self._draft_coming(drafts)
            self._open_connections(drafts)

    def _draft_coming(self, drafts: _Drafts) -> None:
        try:
            self._draft_each(drafts, self._next_due(drafts))
        except BaseException:
            self._look_again.set()
            raise

    def _draft_each(self, drafts: _Drafts, lacking: list[tuple[UUID, dt.datetime]]) -> None:
        if not lacking:
            return
        cover = Cover.since(timezone.now())
        room = _MOST_BYTES - sum(_size(draft) for _, draft in list(drafts.by_job.values()))
        for start in range(0, len(lacking), _STEP):
            step = dict(lacking[start : start + _STEP])
            if room <= 0 or self._ends_before(min(step.values()), drafts):
                # What is due later is looked up again.
                self._looked_until = min(step.values())
                return
            jobs = [job for job in read(Job.objects.filter(among(step))) if job.next_run_at == step[job.pk]]
            drafter = Drafter(jobs, drafts.teams, None, cover)
            for job in jobs:
                draft = _draft(drafter, job, step[job.pk], cover)
                drafts.by_job[job.pk] = step[job.pk], draft
                room -= _size(draft)

    def _ends_before(self, moment: dt.datetime, drafts: _Drafts) -> bool:
        """Whether drafts of this fire time are too late, or void after an edit."""
        is_late = self._stop.wait(_PAUSE_SECONDS) or timezone.now() + _TOO_NEAR > moment
        return is_late or Revision.both()[1] != drafts.edits

    def _next_due(self, drafts: _Drafts) -> list[tuple[UUID, dt.datetime]]:
        """The jobs that come due within the next seconds, have no draft yet and were not looked up before, with their
        fire times, as many as there is room for.
        """
        now, room = timezone.now(), _MOST - len(drafts.by_job)
        if room <= 0:
            return []
        since, until = now + _TOO_NEAR, now + _AHEAD
        if self._look_again.is_set():
            self._look_again.clear()
        elif since < self._looked_until <= until:
            since = self._looked_until
        # Before the query, so that `fired` knows of it.
        self._looked_until = until
        coming = Job.objects.active().filter(next_run_at__gt=since, next_run_at__lte=until)
        due = coming.order_by("next_run_at", "id").values_list("pk", "next_run_at")[:_MOST]
        # A draft that was taken while `_current` copied it is still there, with the fire time before.
        held = drafts.by_job
        lacking = [(pk, at) for pk, at in due if at and held.get(pk, _WITHOUT)[0] != at][:room]
        if len(lacking) == room:
            # What else is due at this moment is decided about then.
            self._looked_until = lacking[-1][1]
        return lacking

    def _open_connections(self, drafts: _Drafts) -> None:
        """Once for each fire time, shortly before it."""
        until = timezone.now() + _OPENED
        soon = [
            (moment, draft)
            for moment, draft in list(drafts.by_job.values())
            if draft and self._opened_until < moment <= until
        ]
        if soon:
            self._opened_until = max(moment for moment, _ in soon)
            origins = (draft.deliveries[0].deliverable.origin for _, draft in soon)
            backends.open_ahead(Counter(origin for origin in origins if origin))

    def take(self, due: Iterable[UUID], now: dt.datetime, teams: Teams) -> dict[UUID, Draft]:
        """The drafts that are still true for due jobs which the caller's transaction has locked. Call it after that: an
        edit that is not seen then comes after the firing.
        """
        drafts = self._drafts
        if not drafts.by_job or drafts.teams != teams or drafts.edits != Revision.both()[1]:
            return {}
        found = ((pk, drafts.by_job.pop(pk)) for pk in due if pk in drafts.by_job)
        return {pk: draft for pk, (moment, draft) in found if draft and _holds_at(now, moment, draft)}

    def fired(self, drafts: Iterable[Draft]) -> None:
        """Call it with what was fired, after the commit. A job that was fired late may come due again within the span
        that was looked up: that span is looked up again.
        """
        until = self._looked_until
        if any(one.following and one.following <= until for one in drafts):
            self._look_again.set()

    def stop(self) -> None:
        """End `prepare` soon."""
        self._stop.set()

    def _current(self) -> _Drafts:
        """The drafts, without those of the past, or empty ones after an edit."""
        # Read before the jobs, so that an edit in between is noticed.
        edits, teams, now = Revision.both()[1], read_teams(), timezone.now()
        old = self._drafts
        kept = {}
        if old.edits == edits and old.teams == teams:
            kept = {pk: planned for pk, planned in list(old.by_job.items()) if planned[0] + _LATEST > now}
        else:
            self._look_again.set()
        self._drafts = _Drafts(edits, teams, kept)
        return self._drafts


def _size(draft: Draft | None) -> int:
    """The bytes of the request of a draft."""
    return draft.deliveries[0].deliverable.size if draft else 0


def _draft(drafter: Drafter, job: Job, moment: dt.datetime, cover: Cover) -> Draft | None:
    """The draft of a job that is fired at its next fire time; None if it has to be made then."""
    if (
        job.overlap_policy != OverlapPolicy.ALLOW
        or job.jitter_seconds
        or job.skipped_run_at is not None
        or cover.over(job)
        or asks_for_success(job)
    ):
        return None
    try:
        draft = drafter.draft(job, moment)
        if len(draft.deliveries) != 1 or draft.deliveries[0].budget is not None:
            return None
        return draft._replace(deliveries=[backends.prepared(draft.deliveries[0])])
    except (*UNUSABLE, DeliveryError):
        # Firing puts it aside, or the call fails.
        return None


def _holds_at(now: dt.datetime, moment: dt.datetime, draft: Draft) -> bool:
    """Whether a draft made for an instant is what firing at `now` would decide: neither is another fire time due, nor
    is this one missed.
    """
    deadline = draft.deliveries[0].deadline
    return (
        moment <= now < moment + _LATEST
        and (draft.following is None or now < draft.following)
        and (deadline is None or now < deadline.at)
    )
