"""The delivery engine: one event loop in one thread makes the calls of this process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import uvloop
from django.conf import settings
from django.utils import timezone

from contract.collector import collect_rarely
from contract.times import utc_ms
from executions.gate import Gate, Keys
from executions.http import DeliveryError, HttpClient, Reply, Request
from executions.recorder import Finished, Recorder
from executions.targets import Deliverable, Outcome, Send

log = logging.getLogger("cronsched.engine")
_RESOLVER_THREADS = 64
_STOPPED = Outcome(False, error="the process that made the call was stopped before an answer came")


class Delivery(NamedTuple):
    """An execution to be carried out. Its row exists; `timeout` is in seconds, for each call. It waits where `keys` are busy."""

    execution_id: UUID
    job_id: UUID
    job_name: str
    started_at: datetime
    target: str
    deliverable: Deliverable
    timeout: float
    keys: Keys = ()
    manual: bool = False


class Engine:
    """Carries out deliveries and hands their outcomes to the recorder. Start it once; `submit` from any thread."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._loop = uvloop.new_event_loop()
        self._gate = Gate(settings.ENGINE_CONCURRENCY, {"host": settings.ENGINE_CONCURRENCY_PER_HOST})
        self._unfinished = 0
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: HttpClient | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the recorder and the loop."""
        self._recorder.start()
        self._thread.start()
        self._ready.wait()
        collect_rarely()

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out deliveries; returns at once."""
        self._loop.call_soon_threadsafe(self._accept, deliveries)

    def try_once(self, deliverable: Deliverable, execution_id: UUID, timeout: float) -> Outcome:
        """Make one delivery that is not recorded, and wait for its outcome. Raises `DeliveryError`."""

        async def attempt() -> Outcome:
            return await deliverable.deliver(self._sender(timeout, []), execution_id)

        return asyncio.run_coroutine_threadsafe(attempt(), self._loop).result()

    @property
    def worker_id(self) -> UUID:
        """The id of this process's worker row."""
        return self._recorder.worker_id

    @property
    def in_flight(self) -> int:
        """How many deliveries are under way or wait for room."""
        return self._unfinished

    def shutdown(self, drain: float) -> None:
        """Let deliveries finish for up to `drain` seconds, end the rest as failed, and record every outcome."""
        deadline = time.monotonic() + drain
        while self._unfinished and time.monotonic() < deadline:
            time.sleep(0.02)
        concurrent.futures.wait([asyncio.run_coroutine_threadsafe(self._close(), self._loop)])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._recorder.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(
            concurrent.futures.ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolver")
        )
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        self._client = HttpClient()
        self._ready.set()

    async def _close(self) -> None:
        self._closing = True
        # A task that is cancelled before its first step would end without a word.
        await asyncio.sleep(0)
        for start in self._gate.clear():
            start()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    def _accept(self, deliveries: Sequence[Delivery]) -> None:
        self._unfinished += len(deliveries)
        for delivery in deliveries:
            self._gate.enter(delivery.keys, partial(self._start, delivery))

    def _start(self, delivery: Delivery) -> None:
        if self._closing:
            self._finish(delivery, _STOPPED, [])
            return
        task = self._loop.create_task(self._carry_out(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, delivery: Delivery) -> None:
        attempts: list[dict[str, Any]] = []
        try:
            outcome = await self._outcome(delivery, attempts)
        finally:
            self._gate.leave(delivery.keys)
        self._finish(delivery, outcome, attempts)

    def _finish(self, delivery: Delivery, outcome: Outcome, attempts: list[dict[str, Any]]) -> None:
        self._recorder.record(
            Finished(
                execution_id=delivery.execution_id,
                job_id=delivery.job_id,
                job_name=delivery.job_name,
                manual=delivery.manual,
                started_at=delivery.started_at,
                completed_at=timezone.now(),
                target=outcome.target or delivery.target,
                outcome=outcome,
                attempts=attempts,
            )
        )
        self._unfinished -= 1

    async def _outcome(self, delivery: Delivery, attempts: list[dict[str, Any]]) -> Outcome:
        try:
            return await delivery.deliverable.deliver(self._sender(delivery.timeout, attempts), delivery.execution_id)
        except DeliveryError as exc:
            return Outcome(False, error=str(exc))
        except asyncio.CancelledError:
            return _STOPPED
        except Exception:
            log.exception("execution %s: the delivery failed in an unforeseen way", delivery.execution_id)
            return Outcome(False, error="internal error: see the log of the process that made the call")

    def _sender(self, timeout: float, attempts: list[dict[str, Any]]) -> Send:
        async def send(request: Request) -> Reply:
            assert self._client is not None
            clock = time.perf_counter()
            entry: dict[str, Any] = {"started_at": utc_ms(timezone.now()), "status": None, "error": ""}
            attempts.append(entry)
            try:
                reply = await self._client.send(request, timeout)
                entry["status"] = reply.status
                return reply
            except DeliveryError as exc:
                entry["error"] = str(exc)
                raise
            finally:
                entry["duration_seconds"] = round(time.perf_counter() - clock, 3)

        return send


_engine: tuple[int, Engine] | None = None
_lock = threading.Lock()


def local_engine() -> Engine:
    """This process's engine, started at first use; a forked child gets its own."""
    global _engine
    with _lock:
        if _engine is None or _engine[0] != os.getpid():
            engine = Engine(Recorder())
            engine.start()
            _engine = (os.getpid(), engine)
        return _engine[1]


def shutdown_local_engine(drain: float) -> None:
    """End this process's engine, if it was started, with all outcomes recorded."""
    global _engine
    with _lock:
        if _engine is not None and _engine[0] == os.getpid():
            _engine[1].shutdown(drain)
        _engine = None


def worker_id() -> UUID:
    """The id of this process's worker row."""
    return local_engine().worker_id
