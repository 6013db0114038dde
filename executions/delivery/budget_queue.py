"""Dispatches that wait in this process for the budget of their credential (`executions.budgets`)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

from django.utils import timezone

from executions import budgets
from executions.budgets import Budget, Grant, Pause
from executions.delivery.clock import Clock
from executions.delivery.state import DeliveryState
from executions.http.connection import DeliveryError
from executions.targets.lookup import looked_up

log = logging.getLogger("cronsched.budgets")
_MOST_ASKED_FOR = 5_000
_AFTER_FAILURE_SECONDS = 1.0
# How soon a budget that an admin has changed counts for what waits already.
_LONGEST_SLEEP_SECONDS = 10.0


class BudgetQueue:
    """Lives in the engine's event loop. `admit` is called for a delivery that may be made, `expire` for one that has
    waited for too long.
    """

    def __init__(
        self,
        clock: Clock,
        admit: Callable[[DeliveryState], None],
        expire: Callable[[DeliveryState, Grant], None],
    ) -> None:
        self._clock = clock
        self._admit, self._expire = admit, expire
        self._waiting: dict[str, list[DeliveryState]] = {}
        self._pauses: dict[str, list[Pause]] = {}
        self._refused: set[str] = set()
        self._under_way: Counter[str] = Counter()
        # The budgets of which something waits only until a dispatch that is under way ends.
        self._full: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sleeping: dict[str, asyncio.Future[None]] = {}
        # What came while the database was asked.
        self._news: set[str] = set()

    def add(self, state: DeliveryState) -> None:
        """Queue a delivery; of a credential the one with the lowest rank leaves first."""
        budget = state.delivery.budget
        assert budget is not None
        state.ready_at = state.ready_at or timezone.now()
        self._waiting.setdefault(budget.key, []).append(state)
        if budget.key in self._tasks:
            # What waits is stored, and a pause holds for other processes at once.
            self._wake(budget.key)
        else:
            self._tasks[budget.key] = asyncio.get_running_loop().create_task(self._serve(budget.key))

    def refused(self, state: DeliveryState, pause: Pause) -> None:
        """GitHub refused a delivery for a rate limit: it waits, with all others of its credential."""
        assert state.delivery.budget is not None
        self._pauses.setdefault(state.delivery.budget.key, []).append(pause)
        self.add(state)

    def accepted(self, state: DeliveryState) -> None:
        """GitHub accepted a delivery."""
        budget = state.delivery.budget
        if budget and budget.key in self._refused:
            self._refused.discard(budget.key)
            asyncio.get_running_loop().create_task(self._note_success(budget))

    def began(self, state: DeliveryState) -> None:
        """The call of an admitted delivery begins; `ended` follows, whatever becomes of it."""
        if budget := state.delivery.budget:
            self._under_way[budget.key] += 1

    def ended(self, state: DeliveryState) -> None:
        """The call of an admitted delivery is over."""
        if budget := state.delivery.budget:
            self._under_way[budget.key] -= 1
            if budget.key in self._full:
                self._wake(budget.key)

    def clear(self) -> None:
        """Drop what waits."""
        for task in self._tasks.values():
            task.cancel()
        self._waiting.clear()

    async def _serve(self, key: str) -> None:
        try:
            while waiting := self._ranked(key):
                budget = waiting[0].delivery.budget
                assert budget is not None
                under_way = self._under_way[key]
                try:
                    grant = await self._take(budget, waiting, under_way)
                except Exception as exc:
                    # What waits must not wait for ever.
                    known = isinstance(exc, DeliveryError)
                    log.warning("the budget of %s could not be asked, trying again", budget.name, exc_info=not known)
                    await self._sleep(key, _AFTER_FAILURE_SECONDS)
                    continue
                if grant.is_full and self._under_way[key] < under_way:
                    self._wake(key)
                self._apply(key, grant)
                if self._waiting.get(key):
                    # What GitHub asks for no admin shortens.
                    longest = grant.ask_after if grant.is_paused else _LONGEST_SLEEP_SECONDS
                    await self._sleep(key, min(grant.ask_after, longest))
        finally:
            self._tasks.pop(key, None)

    async def _take(self, budget: Budget, waiting: list[DeliveryState], under_way: int) -> Grant:
        pauses, self._pauses[budget.key] = self._pauses.get(budget.key, []), []
        asked = waiting[:_MOST_ASKED_FOR]
        ready = {one.delivery.execution_id: one.ready_at or timezone.now() for one in asked}
        ranks = {one.delivery.execution_id: one.delivery.rank for one in asked}

        def work() -> Grant:
            now = budgets.refreshed(budget)
            for one in pauses:
                budgets.pause(now, one)
            return budgets.take(now, ready, ranks, under_way)

        try:
            return await looked_up(work, "the budget of the GitHub credential")
        except Exception:
            self._pauses[budget.key] = pauses + self._pauses[budget.key]
            raise

    def _apply(self, key: str, grant: Grant) -> None:
        if grant.was_refused:
            self._refused.add(key)
        (self._full.add if grant.is_full else self._full.discard)(key)
        expired = set(grant.expired)
        waiting, self._waiting[key] = self._waiting[key], []
        for state in sorted(waiting, key=lambda one: one.delivery.rank):
            pk = state.delivery.execution_id
            if pk in expired:
                self._expire(state, grant)
            elif pk in grant.waited:
                state.waited = grant.waited[pk]
                self._admit(state)
            else:
                self._waiting[key].append(state)

    def _ranked(self, key: str) -> list[DeliveryState]:
        waiting = [state for state in self._waiting.get(key, []) if state.is_held]
        self._waiting[key] = sorted(waiting, key=lambda one: one.delivery.rank)
        return self._waiting[key]

    async def _note_success(self, budget: Budget) -> None:
        try:
            await looked_up(partial(budgets.note_success, budget), "the budget of the GitHub credential")
        except DeliveryError:
            self._refused.add(budget.key)

    async def _sleep(self, key: str, seconds: float) -> None:
        """Wait for so long, or until something new waits."""
        if key in self._news:
            self._news.remove(key)
            return
        loop = asyncio.get_running_loop()
        self._sleeping[key] = loop.create_future()
        self._clock.call_later(loop, seconds, _end, self._sleeping[key])
        try:
            await self._sleeping[key]
        finally:
            del self._sleeping[key]

    def _wake(self, key: str) -> None:
        if key in self._sleeping:
            _end(self._sleeping[key])
        else:
            self._news.add(key)


def _end(sleep: asyncio.Future[None]) -> None:
    if not sleep.done():
        sleep.set_result(None)
