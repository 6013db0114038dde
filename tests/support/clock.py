"""A clock that stands still until a test advances it."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import time_machine

from tests.support.target import wait_until


class HandClock:
    """Monotonic seconds, Unix time (`now`), and the engine's timers (`executions.delivery.clock.Clock`)."""

    def __init__(self) -> None:
        self._began = time.time()
        self._passed = 0.0
        self._timers: list[tuple[float, asyncio.AbstractEventLoop, Callable[..., object], tuple[Any, ...]]] = []
        self._lock = Lock()

    def monotonic(self) -> float:
        return 1000 + self._passed

    def now(self) -> float:
        return self._began + self._passed

    def call_later(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[..., object], *args: Any
    ) -> None:
        with self._lock:
            self._timers.append((self._passed + seconds, loop, callback, args))

    def next_timer(self) -> float:
        """Seconds until the next timer; waits until one is set."""
        wait_until(lambda: self._timers)
        with self._lock:
            return min(at for at, *_ in self._timers) - self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass, and run the timers that are due."""
        with self._lock:
            self._passed += seconds
            due = [timer for timer in self._timers if timer[0] <= self._passed]
            self._timers = [timer for timer in self._timers if timer[0] > self._passed]
        for _, loop, callback, args in sorted(due, key=lambda timer: timer[0]):
            # The loop of an engine that was shut down is closed.
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback, *args)


class PassingTime(HandClock):
    """A clock by hand that moves the system's clock with it."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        super().__init__()
        self._traveller = traveller

    def now(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        self._traveller.shift(seconds)
        super().advance(seconds)

    def advance_until(self, condition: Callable[[], Any], step: float = 1.0, most: float = 3600.0) -> None:
        """Let time pass from timer to timer until the condition holds; fails after `most` seconds."""
        passed = 0.0
        while not condition():
            if passed >= most:
                # The engine's threads work in real time, and what is due may not be done yet.
                wait_until(condition)
                return
            self.advance(step)
            passed += step
            threading.Event().wait(0.02)


@contextmanager
def passing_time(moment: dt.datetime) -> Iterator[PassingTime]:
    """Time that passes by hand from this moment."""
    with time_machine.travel(moment, tick=False) as traveller:
        yield PassingTime(traveller)
