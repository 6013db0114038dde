"""Outcomes that wait to be stored, and for how long.

In a burst storing waits: it would take the interpreter from the calls, and the database from firing. What it buys:
docs/benchmarks.md.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

# In a burst outcomes wait for so many seconds at most, and so many of them.
LATEST_SECONDS = 1.0
MOST_WAITING = 20_000

T = TypeVar("T")


class Unstored(Generic[T]):
    """A queue that any thread may add to, and that one thread takes from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # With the time at which each came, and whether it is urgent.
        self._queue: deque[tuple[float, T, bool]] = deque()
        self._urgent = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[T]:
        return iter([item for _, item, _ in list(self._queue)])

    def add(self, item: T, *, is_urgent: bool = False) -> None:
        """Queue an item; with an urgent one nothing waits, because a call waits for it."""
        with self._lock:
            self._queue.append((self._clock(), item, is_urgent))
            self._urgent += is_urgent

    def first(self, count: int) -> list[T]:
        """The first items, which stay."""
        return [self._queue[place][1] for place in range(min(count, len(self._queue)))]

    def drop(self, count: int) -> None:
        """Remove the first items, which are stored."""
        with self._lock:
            for _ in range(count):
                self._urgent -= self._queue.popleft()[2]

    def may_wait(self, *, in_burst: bool) -> bool:
        """Whether storing may wait, which it does in a burst of calls only."""
        return (
            in_burst
            and not self._urgent
            and len(self._queue) < MOST_WAITING
            and bool(self._queue)
            and self._clock() - self._queue[0][0] < LATEST_SECONDS
        )
