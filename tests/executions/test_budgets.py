"""The budget of a credential: how many dispatches leave in a minute, and what refusals change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from uuid_utils.compat import uuid7

from executions import budgets
from executions.budgets import Budget, Grant, Pause
from executions.models import BudgetWait, DispatchBudget
from executions.targets.github.limits import pause_of
from jobs.models import Job
from tests.support.executions import left

NINE = dt.datetime(2026, 11, 26, 0, 0, tzinfo=dt.UTC)  # 09:00 JST
BUDGET = Budget("key", "qa-app", 500, 100, 900)
SECONDARY = '{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'


# Since when each execution is ready.
ready: dict[UUID, dt.datetime] = {}


def ids(count: int) -> list[UUID]:
    return [uuid7() for _ in range(count)]


def at(seconds: float, work: Callable[[], Grant | None]) -> Grant:
    with time_machine.travel(NINE + dt.timedelta(seconds=seconds), tick=False):
        found = work()
    return found or Grant({}, [], 0, False)


def take(waiting: list[UUID], seconds: float, budget: Budget = BUDGET) -> Grant:
    moment = NINE + dt.timedelta(seconds=seconds)
    return at(seconds, lambda: budgets.take(budget, {pk: ready.setdefault(pk, moment) for pk in waiting}))


def pause(asked: Pause, seconds: float) -> None:
    at(seconds, lambda: budgets.pause(BUDGET, asked))


@pytest.mark.django_db
class TestRate:
    def test_a_minutes_budget_leaves_at_once_and_the_others_a_minute_later(self) -> None:
        waiting = ids(250)
        first = take(waiting, 0)
        assert list(first.waited) == waiting[:100]
        assert set(first.waited.values()) == {0.0}
        assert first.ask_after == 61
        assert take(waiting[100:], 60).waited == {}
        second = take(waiting[100:], 61)
        assert list(second.waited) == waiting[100:200]
        assert set(second.waited.values()) == {61.0}
        assert len(take(waiting[200:], 122).waited) == 50

    def test_what_waits_is_stored_with_its_reason(self) -> None:
        waiting = ids(101)
        take(waiting, 0)
        wait = BudgetWait.objects.get()
        assert (wait.execution_id, wait.credential, wait.since, wait.seconds) == (waiting[-1], "qa-app", NINE, None)
        take(waiting[100:], 61)
        assert BudgetWait.objects.get().seconds == 61

    def test_a_wait_goes_on_after_a_restart_and_ends_at_the_limit(self) -> None:
        waiting = ids(200)
        take(waiting[:100], 0)
        take(waiting[100:], 1)
        pause(Pause(3000, is_secondary=False), 2)
        left = take(waiting[100:], 10)
        assert (left.expired, left.waited) == ([], {})
        assert left.ask_after == pytest.approx(891, abs=0.1)
        assert take(waiting[100:], 902).expired == waiting[100:]

    def test_what_ranks_first_in_another_process_leaves_first(self, make_job: Callable[..., Job]) -> None:
        urgent = make_job(name="urgent", target_url="acme/shop/a.yml", priority=1)
        calm = make_job(name="calm", target_url="acme/shop/b.yml")

        def ranked(job: Job, count: int) -> dict[UUID, tuple[int, dt.datetime, UUID]]:
            found = [left(job, None, scheduled_for=NINE + dt.timedelta(seconds=n)) for n in range(count)]
            return {one.pk: (job.priority, NINE + dt.timedelta(seconds=n), one.pk) for n, one in enumerate(found)}

        def ask(ranks: dict[UUID, tuple[int, dt.datetime, UUID]], seconds: float) -> Grant:
            return at(seconds, lambda: budgets.take(BUDGET, dict.fromkeys(ranks, NINE), ranks))

        take(ids(100), 0)
        here, there = ranked(calm, 90), ranked(urgent, 30)
        assert ask(there, 1).waited == ask(here, 1).waited == {}
        # 100 leave: 30 are left to the other process, whose priority is higher.
        first = ask(here, 61)
        assert (len(first.waited), first.ask_after) == (70, 1.0)
        assert len(ask(there, 61).waited) == 30
        assert ask(here, 61.5).waited == {}

    def test_a_higher_budget_counts_at_once(self) -> None:
        waiting = ids(150)
        take(waiting, 0)
        assert len(take(waiting[100:], 1, BUDGET._replace(per_minute=120)).waited) == 20


@pytest.mark.django_db
class TestAtOnce:
    def test_what_is_under_way_leaves_the_rest_waiting_with_nothing_used_up(self) -> None:
        waiting, narrow = ids(10), BUDGET._replace(at_once=4)

        def ask(waiting: list[UUID], under_way: int) -> Grant:
            return at(0, lambda: budgets.take(narrow, dict.fromkeys(waiting, NINE), under_way=under_way))

        first = ask(waiting, 1)
        assert (list(first.waited), first.is_full) == (waiting[:3], True)
        # Only the end of a dispatch, or of the longest wait, lets another leave.
        assert first.ask_after == pytest.approx(900, abs=0.1)
        assert BudgetWait.objects.count() == 7
        assert ask(waiting[3:], 4).waited == {}
        last = ask(waiting[3:6], 0)
        assert (len(last.waited), last.is_full) == (3, False)

    def test_the_rate_counts_what_has_left_only(self) -> None:
        narrow = BUDGET._replace(at_once=4, per_minute=6)
        waiting = ids(10)
        assert len(at(0, lambda: budgets.take(narrow, dict.fromkeys(waiting, NINE))).waited) == 4
        second = at(1, lambda: budgets.take(narrow, dict.fromkeys(waiting[4:], NINE)))
        assert (len(second.waited), second.is_full, second.ask_after) == (2, False, 60)


@pytest.mark.django_db
class TestRefusals:
    def test_each_refusal_for_a_secondary_limit_halves_the_rate_and_it_grows_back(self) -> None:
        pause(Pause(30, is_secondary=True), 0)
        assert take(ids(1), 29).ask_after == 1
        assert len(take(ids(200), 31).waited) == 50
        # A tenth of the full rate comes back each minute after the pause.
        assert len(take(ids(200), 30 + 180).waited) == 80
        assert len(take(ids(200), 30 + 600).waited) == 100

    def test_refusals_of_one_burst_count_once(self) -> None:
        for second in range(10):
            pause(Pause(30, is_secondary=True), second)
        assert DispatchBudget.objects.get().per_minute == 50
        assert take(ids(1), 10).ask_after == pytest.approx(29)

    def test_without_a_time_the_pause_doubles_up_to_16_minutes(self) -> None:
        at_second, pauses = 0.0, []
        for _ in range(6):
            pause(Pause(None, is_secondary=True), at_second)
            until = DispatchBudget.objects.get().blocked_until
            assert until
            pauses.append((until - NINE).total_seconds() - at_second)
            at_second += pauses[-1] + 1
        assert pauses == [60, 120, 240, 480, 960, 960]

    def test_after_a_success_the_next_pause_is_short_again(self) -> None:
        pause(Pause(None, is_secondary=True), 0)
        pause(Pause(None, is_secondary=True), 61)
        budgets.note_success(BUDGET)
        pause(Pause(None, is_secondary=True), 300)
        assert take(ids(1), 300).ask_after == 60

    def test_the_primary_limit_stops_all_and_reduces_nothing(self) -> None:
        pause(Pause(100, is_secondary=False), 0)
        assert take(ids(1), 1).ask_after == 99
        assert len(take(ids(200), 101).waited) == 100

    def test_no_pause_is_longer_than_githubs_limits(self) -> None:
        pause(Pause(1e11, is_secondary=False), 0)
        assert len(take(ids(1), 3701).waited) == 1

    def test_the_primary_limit_brings_no_old_halving_back(self) -> None:
        pause(Pause(30, is_secondary=True), 0)
        assert len(take(ids(200), 3600).waited) == 100
        pause(Pause(30, is_secondary=False), 7200)
        assert len(take(ids(200), 7231).waited) == 100

    def test_what_waited_for_too_long_has_its_seconds(self) -> None:
        waiting = ids(101)
        take(waiting, 0)
        pause(Pause(5000, is_secondary=False), 1)
        assert take(waiting[100:], 901).expired == waiting[100:]
        assert BudgetWait.objects.get().seconds == 901

    @pytest.mark.parametrize(
        ("status", "wait", "reset", "text", "found"),
        [
            (403, "30", "", SECONDARY, Pause(30, True)),
            (429, "0", "", "", Pause(1, True)),
            (403, "", "", SECONDARY, Pause(None, True)),
            (429, "", "", "", Pause(None, True)),
            (403, "", f"{int(NINE.timestamp()) + 99}", "", Pause(100, False)),
            (403, "20", f"{int(NINE.timestamp()) + 99}", "", Pause(20, False)),
            (403, "", "9" * 20, SECONDARY, Pause(None, True)),
            (403, "", "²", SECONDARY, Pause(None, True)),
            (403, "", "", '{"message": "Resource not accessible by personal access token"}', None),
            (404, "30", "", "", None),
            (200, "30", "", "", None),
        ],
    )
    def test_what_github_asks_for(self, status: int, wait: str, reset: str, text: str, found: Pause | None) -> None:
        with time_machine.travel(NINE, tick=False):
            assert pause_of(status, wait, reset, text) == found


class TestModel(TestCase):
    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=12), st.integers(1, 80))
    def test_no_minute_holds_more_than_its_budget_and_none_is_lost(
        self, arrivals: list[tuple[int, int]], per_minute: int
    ) -> None:
        DispatchBudget.objects.all().delete()
        BudgetWait.objects.all().delete()
        budget = BUDGET._replace(per_minute=per_minute, hold_limit_seconds=86_400)
        waiting: list[UUID] = []
        left: dict[UUID, float] = {}
        now = 0.0

        def turn() -> float:
            grant = take(waiting, now, budget)
            left.update(dict.fromkeys(grant.waited, now))
            waiting[:] = [one for one in waiting if one not in grant.waited]
            return grant.ask_after

        for pause_before, count in arrivals:
            now += pause_before
            waiting += ids(count)
            turn()
        while waiting:
            now += turn()
        assert len(left) == sum(count for _, count in arrivals)
        moments = sorted(left.values())
        for begin in set(moments):
            assert sum(begin <= one < begin + 60 for one in moments) <= per_minute
