"""The concurrency limiter: counting semaphores for all calls of a process, for each host and for each PIC team."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple


class Limit(NamedTuple):
    """A named semaphore: at most `size` concurrent calls hold it."""

    name: str
    size: int


Limits = tuple[Limit, ...]
Start = Callable[[], object]


class Limiter:
    """Starts calls while every limit has a free slot; queues the others, first in first out for each set of limits.

    `size` is the limit on all calls together. The limiter lives in one event loop; other threads may only read.

    `allowed(limit)` is the number of concurrent calls that this process may make under a limit. It defaults to the
    whole limit; with Celery it is this worker's allocation (`executions.delivery.shared_limits`).
    """

    def __init__(self, size: int) -> None:
        self.allowed: Callable[[Limit], int] = lambda limit: limit.size
        self._size = size
        self._running = 0
        # How many calls wait for a slot.
        self.waiting = 0
        self._demand: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._queues: dict[Limits, deque[Start]] = {}

    def acquire(self, limits: Limits, start: Start) -> None:
        """Call `start` at once if every limit has a free slot, else when one is free. Each call needs one `release`."""
        for limit in limits:
            self._demand[limit.name] += 1
        if limits not in self._queues and self._has_slot(limits):
            self._take(limits)
            start()
        else:
            self._queues.setdefault(limits, deque()).append(start)
            self.waiting += 1

    def release(self, limits: Limits) -> None:
        """Free one slot of each limit and start waiting calls that fit."""
        self._running -= 1
        for limit in limits:
            self._held[limit.name] -= 1
            if not self._held[limit.name]:
                del self._held[limit.name]
            self._demand[limit.name] -= 1
            if not self._demand[limit.name]:
                del self._demand[limit.name]
        self.start_waiting()

    def start_waiting(self) -> None:
        """Start waiting calls for which every limit has a free slot."""
        for _ in range(len(self._queues)):
            if self._running >= self._size:
                return
            self._start_queue(next(iter(self._queues)))

    @property
    def is_full(self) -> bool:
        """Whether the limit on all calls together is reached."""
        return self._running >= self._size

    def held(self, name: str) -> int:
        """The number of running calls that hold this limit."""
        return self._held[name]

    def demand(self, name: str) -> int:
        """The number of calls that hold this limit or wait for it."""
        return self._demand[name]

    def clear(self) -> None:
        """Drop all waiting calls."""
        self._queues.clear()
        self.waiting = 0
        self._demand = Counter(self._held)

    def _start_queue(self, limits: Limits) -> None:
        # The queue moves to the end of the dict, so that queues are served in rotation.
        waiting = self._queues.pop(limits)
        while waiting and self._has_slot(limits):
            self._take(limits)
            self.waiting -= 1
            waiting.popleft()()
        if waiting:
            self._queues[limits] = waiting

    def _has_slot(self, limits: Limits) -> bool:
        return self._running < self._size and all(self._held[one.name] < self.allowed(one) for one in limits)

    def _take(self, limits: Limits) -> None:
        self._running += 1
        for limit in limits:
            self._held[limit.name] += 1
