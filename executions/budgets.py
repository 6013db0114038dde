"""The budget of a GitHub credential: how many dispatches all processes together may make with it in a minute.

GitHub allows a credential 900 points a minute, of which a dispatch takes 5, and 100 requests at once (GitHub REST:
"Rate limits for the REST API", secondary rate limits). Whatever 60 seconds are looked at, at most `per_minute`
dispatches leave within them, and a process has at most `at_once` of them under way. What waits is stored
(`BudgetWait`), so that it can be told and outlives a restart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.db.bulk import insert_new, update_many
from executions.models import OPEN, BudgetWait, DispatchBudget
from settings_app.credential_rights import rights_of
from settings_app.models import GitHubCredential

_ENVIRONMENT = "environment"
_WINDOW_SECONDS = 60
# After refusals that name no time: the first pause and the longest.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 960.0
# How much of the full rate comes back in a minute after a refusal.
_GROWTH = 0.1
# GitHub's limits are by the hour; a longer pause is asked for again by then.
_LONGEST_ASKED_SECONDS = 3_700.0
_SLOWEST = 1.0
_LEFT_TO_OTHERS_SECONDS = 1.0
# Priority, fire time, id: what ranks first leaves first.
Rank = tuple[int, dt.datetime, UUID]


class Budget(NamedTuple):
    """The budget of a credential as admins set it. `key` names its row, `name` is told to people."""

    key: str
    name: str
    at_once: int
    per_minute: int
    hold_limit_seconds: int


class Pause(NamedTuple):
    """GitHub refused a request for a rate limit and asks for a pause: for `seconds`, None if it does not say. A
    secondary limit is one on bursts; it also reduces the rate.
    """

    seconds: float | None
    is_secondary: bool


class Grant(NamedTuple):
    """Which executions may be dispatched now and the seconds that each has waited, which have waited for too long, and
    the seconds after which to ask again for the others. `was_refused`: the last dispatch met a limit. `is_paused`:
    GitHub asks to be left alone. `is_full`: some wait only until a dispatch that is under way ends.
    """

    waited: dict[UUID, float]
    expired: list[UUID]
    ask_after: float
    was_refused: bool
    is_paused: bool = False
    is_full: bool = False


def budget_of(credential_id: UUID | None) -> Budget:
    """The budget of a credential, or of GITHUB_TOKEN. Raises `GitHubCredential.DoesNotExist`."""
    rights = rights_of(credential_id)
    return Budget(key_of(credential_id), rights.name, rights.at_once, rights.per_minute, rights.hold_limit_seconds)


def refreshed(budget: Budget) -> Budget:
    """The same budget as admins have set it by now; unchanged if its credential is gone."""
    try:
        return budget_of(None if budget.key == _ENVIRONMENT else UUID(budget.key))
    except (GitHubCredential.DoesNotExist, ValueError):
        return budget


def key_of(credential_id: UUID | None) -> str:
    return str(credential_id or _ENVIRONMENT)


@transaction.atomic
def take(
    budget: Budget,
    waiting: Mapping[UUID, dt.datetime],
    ranks: Mapping[UUID, Rank] | None = None,
    under_way: int = 0,
) -> Grant:
    """Use the budget for the first of these executions, as many as it allows now. `waiting`: since when each waits;
    what is stored of it, from another process, counts first. With `ranks` what waits in other processes and ranks
    before them leaves its share to it. `under_way`: the dispatches that this process makes now.
    """
    row, now = _locked(budget.key), timezone.now()
    stored = {pk: (since, seconds) for pk, since, seconds in _waits(waiting)}
    since = {pk: stored[pk][0] if pk in stored and stored[pk][1] is None else ready for pk, ready in waiting.items()}
    limit = dt.timedelta(seconds=budget.hold_limit_seconds)
    count = _free(row, budget, now)
    share = _first(count, ranks, _of_others(budget, waiting, now, count)) if ranks and count else count
    mine = min(share, max(0, budget.at_once - under_way))
    is_full = mine < min(share, len(waiting))
    granted, left = list(waiting)[:mine], list(waiting)[mine:]
    expired = [pk for pk in left if now - since[pk] > limit]
    others = [pk for pk in left if pk not in set(expired)]
    if granted:
        row.recent = [*_within(row, now), [int(now.timestamp()), len(granted)]]
        row.save(update_fields=["recent"])
    waited = {pk: (now - since[pk]).total_seconds() for pk in (*granted, *expired)}
    update_many(BudgetWait, ("seconds",), ("execution",), [(waited[pk], pk) for pk in waited if pk in stored])
    again = [(since[pk], None, pk) for pk in others if pk in stored and stored[pk] != (since[pk], None)]
    update_many(BudgetWait, ("since", "seconds"), ("execution",), again)
    new = [(pk, budget.name, since[pk]) for pk in others if pk not in stored]
    insert_new(BudgetWait, ("execution", "credential", "since"), new)
    first = min((since[pk] for pk in others), default=now)
    until_expired = (first + limit - now).total_seconds() + 0.001
    # Others ask for what is left to them as soon.
    soonest = 0.05 if share == count else _LEFT_TO_OTHERS_SECONDS
    until_free = until_expired if is_full else _seconds_until_free(row, budget, now)
    ask_after = max(soonest, min(until_free, until_expired))
    is_paused = row.blocked_until is not None and row.blocked_until > now
    return Grant({pk: waited[pk] for pk in granted}, expired, ask_after, bool(row.refusals), is_paused, is_full)


def _of_others(budget: Budget, mine: Iterable[UUID], now: dt.datetime, count: int) -> list[Rank]:
    """The first `count` ranks of what waits for the budget in other processes."""
    alive = now - dt.timedelta(seconds=budget.hold_limit_seconds)
    waits = BudgetWait.objects.filter(credential=budget.name, seconds=None, since__gt=alive).exclude(pk__in=list(mine))
    waits = waits.filter(execution__status__in=OPEN, execution__run_id=None)
    waits = waits.annotate(ready=Coalesce("execution__scheduled_for", "execution__started_at"))
    ranks = waits.order_by("execution__job__priority", "ready", "pk")
    return list(ranks.values_list("execution__job__priority", "ready", "pk")[:count])


def _first(count: int, mine: Mapping[UUID, Rank], others: Iterable[Rank]) -> int:
    """How many of mine are among the first `count` of all."""
    ranked = sorted([*((rank, True) for rank in mine.values()), *((rank, False) for rank in others)])
    return sum(is_mine for _rank, is_mine in ranked[:count])


@transaction.atomic
def pause(budget: Budget, asked: Pause) -> None:
    """Leave GitHub alone as it asks, with the whole credential. Refusals of calls that were under way when the pause
    began count once.
    """
    row, now = _locked(budget.key), timezone.now()
    is_new = row.blocked_until is None or row.blocked_until <= now
    # What has grown back until now stays.
    grown = rate(row, budget, now)
    row.per_minute = grown if grown < budget.per_minute else None
    if is_new and asked.is_secondary:
        row.per_minute = max(_SLOWEST, grown / 2)
        row.refusals += 1
    seconds = asked.seconds
    if seconds is None:
        seconds = min(_FIRST_PAUSE_SECONDS * 2 ** max(0, row.refusals - 1), _LONGEST_PAUSE_SECONDS) if is_new else 0.0
    seconds = min(seconds, _LONGEST_ASKED_SECONDS)
    row.blocked_until = max(row.blocked_until or now, now + dt.timedelta(seconds=seconds))
    if row.per_minute is not None:
        row.reduced_at = row.blocked_until
    row.save()


def note_success(budget: Budget) -> None:
    """Store that GitHub accepts dispatches again, so that the next pause is short."""
    DispatchBudget.objects.filter(pk=budget.key).update(refusals=0)


def blocked_until(credential_ids: Sequence[UUID | None]) -> dict[UUID | None, dt.datetime]:
    """Until when GitHub asks not to be asked with these credentials; only those that have to wait."""
    keys = {key_of(one): one for one in credential_ids}
    rows = DispatchBudget.objects.filter(pk__in=keys, blocked_until__gt=timezone.now())
    return {keys[key]: until for key, until in rows.values_list("pk", "blocked_until") if until}


def rate(row: DispatchBudget, budget: Budget, now: dt.datetime) -> float:
    """The dispatches a minute that are allowed now: the credential's own, or what has grown back after a refusal."""
    if row.per_minute is None or row.reduced_at is None:
        return float(budget.per_minute)
    minutes = max(0.0, (now - row.reduced_at).total_seconds() / 60)
    return min(float(budget.per_minute), row.per_minute + minutes * _GROWTH * budget.per_minute)


def _waits(ids: Iterable[UUID]) -> Iterable[tuple[UUID, dt.datetime, float | None]]:
    return BudgetWait.objects.filter(pk__in=list(ids)).values_list("pk", "since", "seconds")


def _locked(key: str) -> DispatchBudget:
    DispatchBudget.objects.bulk_create([DispatchBudget(pk=key)], ignore_conflicts=True)
    return DispatchBudget.objects.select_for_update().get(pk=key)


def _free(row: DispatchBudget, budget: Budget, now: dt.datetime) -> int:
    """How many dispatches may leave now."""
    if row.blocked_until and row.blocked_until > now:
        return 0
    return max(0, int(max(_SLOWEST, rate(row, budget, now))) - _used(row, now))


def _seconds_until_free(row: DispatchBudget, budget: Budget, now: dt.datetime) -> float:
    """Seconds until a dispatch may leave, if none does before and the rate stays as it is."""
    if row.blocked_until and row.blocked_until > now:
        return (row.blocked_until - now).total_seconds()
    left = _used(row, now) - int(max(_SLOWEST, rate(row, budget, now)))
    if left < 0:
        return 0.0
    for second, count in _within(row, now):
        left -= count
        if left < 0:
            return _leaves_window(second) - now.timestamp()
    return 0.0


def _used(row: DispatchBudget, now: dt.datetime) -> int:
    return sum(count for _, count in _within(row, now))


def _within(row: DispatchBudget, now: dt.datetime) -> list[list[int]]:
    """What was dispatched in the last minute, oldest first; a second counts until its last instant is a minute ago."""
    return [[second, count] for second, count in row.recent if _leaves_window(second) > now.timestamp()]


def _leaves_window(second: int) -> int:
    return second + 1 + _WINDOW_SECONDS
