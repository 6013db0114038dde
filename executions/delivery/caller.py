"""Calls that belong to no delivery: test runs, and polls of status addresses. One event loop in a thread of its own
makes them, so that a process that makes only these is no worker.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import uvloop
from django.utils import timezone

from core.api.timestamps import utc_ms
from executions.delivery.state import Calls
from executions.exchanges import Exchanged
from executions.http.client import HttpClient, Request
from executions.http.connection import DeliveryError, Reply
from executions.http.deadline import Timeout
from executions.targets import Outcome, Send

STOPPED = "the process that made the call was stopped before an answer came"
# A call's own time-out names the call; this much later the whole of what was asked ends.
_GRACE_SECONDS = 0.5
_RESOLVER_THREADS = 32


class Asked(NamedTuple):
    """The outcome of what was asked, and the last call; None if none was made."""

    outcome: Outcome
    exchanged: Exchanged | None


def sender(client: HttpClient, timeout: float, connect_timeout: float | None, calls: Calls) -> Send:
    """What makes single calls, and notes each of them in `calls`."""

    async def send(request: Request) -> Reply:
        clock = time.perf_counter()
        entry: dict[str, Any] = {"started_at": utc_ms(timezone.now()), "status": None, "error": ""}
        calls.attempts.append(entry)
        reply = None
        try:
            reply = await client.send(request, timeout, connect_timeout)
            entry["status"] = reply.status
            return reply
        except DeliveryError as exc:
            entry["error"] = str(exc)
            raise
        finally:
            entry["duration_seconds"] = round(time.perf_counter() - clock, 3)
            calls.last = Exchanged(request, reply)

    return send


class Caller:
    """Start it once; `ask` from any thread."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._client: HttpClient | None = None
        self._ready = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def ask(self, make: Callable[[Send], Awaitable[Outcome]], timeout: float) -> Future[Asked]:
        """Make the calls of `make` within `timeout` seconds. The future raises `DeliveryError`."""
        return asyncio.run_coroutine_threadsafe(self._asked(make, timeout), self._loop)

    def break_off(self) -> None:
        """Break off what is under way, and what is asked from now on."""
        self._is_stopping = True
        self._loop.call_soon_threadsafe(self._cancel_all)

    def close(self) -> None:
        """Break off what is under way, and end the thread."""
        concurrent.futures.wait([asyncio.run_coroutine_threadsafe(self._close(), self._loop)])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _asked(self, make: Callable[[Send], Awaitable[Outcome]], timeout: float) -> Asked:
        if self._is_stopping:
            raise DeliveryError(STOPPED)
        task = asyncio.current_task()
        assert task is not None
        assert self._client is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        calls = Calls([])
        try:
            # There may be several calls; the time is for all of them.
            async with Timeout(timeout + _GRACE_SECONDS):
                outcome = await make(sender(self._client, timeout, None, calls))
                return Asked(calls.without_secrets(outcome), calls.last)
        except TimeoutError:
            raise DeliveryError(f"timed out: no answer within {timeout:g} s", "timeout") from None
        except asyncio.CancelledError:
            raise DeliveryError(STOPPED) from None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolver"))
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        self._client = HttpClient()
        self._ready.set()

    def _cancel_all(self) -> list[asyncio.Task[Any]]:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    async def _close(self) -> None:
        await asyncio.gather(*self._cancel_all(), return_exceptions=True)
        assert self._client is not None
        await self._client.close()


_caller: tuple[int, Caller] | None = None
_lock = threading.Lock()


def local_caller() -> Caller:
    """This process's caller, started at first use; a forked child gets its own."""
    global _caller
    with _lock:
        if _caller is None or _caller[0] != os.getpid():
            caller = Caller()
            caller.start()
            _caller = (os.getpid(), caller)
        return _caller[1]


def shut_down_local_caller() -> None:
    """Close this process's caller, if it was started."""
    global _caller
    with _lock:
        caller = _caller[1] if _caller is not None and _caller[0] == os.getpid() else None
        _caller = None
    if caller:
        caller.close()
