"""Searches of the job list that few jobs fit."""

from __future__ import annotations

from uuid import UUID

from accounts.models import User
from console import kept
from jobs import services
from jobs.models import Job
from taxonomy.models import PicTeam

_MOST = 2_000


def few_found(text: str, reader: User) -> list[UUID] | None:
    """The jobs that fit a search, at most 2,000; None if more do.

    They are looked for once until a job is edited: a page asks for the search twice, for its tabs and for its rows, and
    each reads every job (150 ms for 100,000).
    """
    # What the search depends on besides the jobs.
    teams = tuple(PicTeam.objects.filter(name__icontains=text).order_by("pk").values_list("pk", flat=True))
    scope = None if reader.is_admin else reader.pk
    found = kept.until_edited(
        ("search", text, teams, scope),
        lambda: list(services.search(Job.objects.order_by(), text, reader).values_list("pk", flat=True)[: _MOST + 1]),
    )
    return found if len(found) <= _MOST else None
