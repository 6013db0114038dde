"""Limits that several workers share."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from executions.delivery import shared_limits
from executions.delivery.concurrency import Limit, Limiter
from executions.delivery.engine import Engine
from executions.models import LimitAllocation, SharedLimit, Worker
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 9)), max_size=25),
)
def test_shared_limits_are_never_exceeded_and_nobody_starves(
    db: None, limit: int, steps: list[tuple[int, int, int]]
) -> None:
    Worker.objects.all().delete()
    SharedLimit.objects.all().delete()
    workers = [Worker.objects.create(host="h", pid=number).pk for number in range(3)]
    inside, allowed, served = [0, 0, 0], [0, 0, 0], [0, 0, 0]

    def step(who: int, want: int, ends: int) -> None:
        """Some calls end; the worker looks; as many as are allowed and wanted begin."""
        inside[who] -= min(inside[who], ends)
        need = shared_limits.Demand(max(want, inside[who]), limit, inside[who])
        allowed[who] = shared_limits.allocate(workers[who], {"host x": need})["host x"]
        begins = max(0, min(need.calls, allowed[who]) - inside[who])
        inside[who] += begins
        served[who] += begins
        assert sum(inside) <= limit
        # What ends makes room at once, without another look.
        if inside[who] and allowed[who] >= inside[who] and want > inside[who]:
            served[who] += 1

    for who, want, ends in steps:
        step(who, want, ends)
    served[:] = [0, 0, 0]
    for _ in range(12):
        for who in range(3):
            step(who, 50, inside[who])
    assert min(served) > 0
    if limit >= 3:
        assert sum(inside) == limit


def test_a_worker_that_is_gone_leaves_its_slots(db: None) -> None:
    one, two = (Worker.objects.create(host="h", pid=number).pk for number in range(2))
    five = {"team t": shared_limits.Demand(5, 5, 0)}
    assert shared_limits.allocate(one, five) == {"team t": 5}
    assert shared_limits.allocate(two, five) == {"team t": 0}
    Worker.objects.filter(pk=one).delete()
    assert shared_limits.allocate(two, five) == {"team t": 5}
    shared_limits.allocate(two, {"team t": shared_limits.Demand(0, 5, 0)})
    shared_limits.delete_unused()
    assert not LimitAllocation.objects.exists()
    assert not SharedLimit.objects.exists()


def test_a_limit_of_one_holds_between_two_engines_and_both_get_their_turn(
    settings: Any, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EXECUTION_BACKEND = "celery"
    key, lock, log, most = Limit("team serial", 1), threading.Lock(), [], [0]
    engines = [Engine() for _ in range(2)]
    under_way: list[int] = []

    def enter(number: int, limiter: Limiter) -> None:
        def begin() -> None:
            with lock:
                under_way.append(number)
                most[0] = max(most[0], len(under_way))
            asyncio.get_running_loop().call_later(0.1, end)

        def end() -> None:
            with lock:
                under_way.remove(number)
                log.append(number)
            limiter.release((key,))

        limiter.acquire((key,), begin)

    for one in engines:
        one.start()
    try:
        for _ in range(8):
            for number, one in enumerate(engines):
                one.run_in_loop(partial(enter, number, one.limiter))
        wait_until(lambda: len(log) == 16, 30)
        wait_until(lambda: not LimitAllocation.objects.exclude(count=0, wanted=0).exists())
    finally:
        for one in engines:
            one.shutdown(0)
    assert most == [1]
    # Neither had to wait until the other had nothing left to do.
    assert set(log[:8]) == {0, 1}
    assert [record.getMessage() for record in caplog.records if record.name == "cronsched.shared_limits"] == []
