"""Turns at SQLite's one write lock for the threads of a process that write much.

SQLite has no queue of writers: one that finds the lock taken looks again after up to 100 ms (sqlite3_busy_timeout). A
thread that takes the lock again and again would keep another one waiting for seconds. What it buys: docs/benchmarks.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.db import connection


class Turns:
    """A lock that its holder gets back only after a thread that waited for it meanwhile."""

    def __init__(self) -> None:
        self._next, self._turn = threading.Lock(), threading.Lock()

    @property
    def is_awaited(self) -> bool:
        """Whether a thread waits."""
        return self._next.locked()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn, and have it until the context ends."""
        with self._next:
            self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()


_writers = Turns()


def write_turn() -> AbstractContextManager[None]:
    """A turn to write much in one transaction. On PostgreSQL, which locks rows, nobody waits."""
    return _writers.take() if connection.vendor == "sqlite" else nullcontext()
