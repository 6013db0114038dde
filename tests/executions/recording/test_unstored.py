"""When outcomes are stored: at once, or in a burst of calls after a second at most."""

from __future__ import annotations

import pytest

from executions.recording.unstored import LATEST_SECONDS, MOST_WAITING, Unstored


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def queue(clock: list[float]) -> Unstored[str]:
    return Unstored(lambda: clock[0])


def test_without_a_burst_nothing_waits(queue: Unstored[str]) -> None:
    queue.add("a")
    assert not queue.may_wait(in_burst=False)
    assert queue.may_wait(in_burst=True)


def test_in_a_burst_the_oldest_waits_for_a_second(queue: Unstored[str], clock: list[float]) -> None:
    queue.add("a")
    clock[0] += LATEST_SECONDS / 2
    queue.add("b")
    assert queue.may_wait(in_burst=True)
    clock[0] += LATEST_SECONDS / 2
    assert not queue.may_wait(in_burst=True)
    assert queue.first(1) == ["a"]
    queue.drop(1)
    assert queue.may_wait(in_burst=True)
    assert list(queue) == ["b"]


def test_what_a_call_waits_for_is_stored_at_once_with_all_before_it(queue: Unstored[str]) -> None:
    queue.add("a")
    queue.add("asked", is_urgent=True)
    assert not queue.may_wait(in_burst=True)
    assert queue.first(10) == ["a", "asked"]
    queue.drop(2)
    queue.add("b")
    assert queue.may_wait(in_burst=True)


def test_memory_is_bounded(queue: Unstored[str]) -> None:
    for _ in range(MOST_WAITING):
        queue.add("a")
    assert not queue.may_wait(in_burst=True)


def test_an_empty_queue_waits_for_nothing(queue: Unstored[str]) -> None:
    assert not queue.may_wait(in_burst=True)
