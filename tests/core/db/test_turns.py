"""Threads that write take turns."""

from __future__ import annotations

import threading

from core.db.turns import Turns
from tests.support.target import wait_until


def test_who_waited_comes_before_who_had_the_turn() -> None:
    turns, order = Turns(), list[str]()

    def other() -> None:
        with turns.take():
            order.append("other")

    waiting = threading.Thread(target=other)
    with turns.take():
        order.append("first")
        waiting.start()
        wait_until(lambda: turns.is_awaited)
    with turns.take():
        order.append("first")
    waiting.join()
    assert order == ["first", "other", "first"]


def test_an_error_ends_a_turn() -> None:
    turns = Turns()
    try:
        with turns.take():
            raise ValueError
    except ValueError:
        pass
    with turns.take():
        assert not turns.is_awaited
