"""The delivery engine: one event loop in one thread makes the calls of this process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import uvloop
from django.conf import settings
from django.utils import timezone

from contract import logs, tracing
from contract.collector import collect_rarely
from contract.times import utc_ms
from executions.gate import Gate, Keys
from executions.http import HttpClient, Request
from executions.recorder import Finished, Followed, Progress, Recorder
from executions.retry import NO_RETRY, RetryPolicy
from executions.shares import Shares
from executions.targets import Deliverable, Outcome, Send
from executions.wire import DeliveryError, Reply

log = logging.getLogger("cronsched.engine")
_RESOLVER_THREADS = 64
_MOST_HELD = 20
_STOPPED = Outcome(False, error="the process that made the call was stopped before an answer came", repeatable=False)


class Delivery(NamedTuple):
    """An execution to be carried out by the worker `worker_id`; by whichever claims it, if that is None. Its row exists.

    `timeout` and `connect_timeout` are for each call, `delay` is before the first; all in seconds. It waits where `keys` are busy.
    `attempts` holds those that were made already.
    """

    execution_id: UUID
    worker_id: UUID | None
    job_id: UUID
    job_name: str
    started_at: datetime
    target: str
    deliverable: Deliverable
    timeout: float
    connect_timeout: float | None = None
    retry: RetryPolicy = NO_RETRY
    delay: float = 0
    keys: Keys = ()
    manual: bool = False
    attempts: tuple[dict[str, Any], ...] = ()


class Course:
    """How far a delivery has come."""

    __slots__ = ("attempts", "began_at", "delivery", "tries")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.attempts = list(delivery.attempts)
        self.tries = len(self.attempts) if delivery.deliverable.repeatable else 0
        self.began_at = time.monotonic()


class Engine:
    """Carries out deliveries and hands their outcomes to the recorder. Start it once; `submit` from any thread."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._loop = uvloop.new_event_loop()
        self._gate = Gate(settings.ENGINE_CONCURRENCY)
        self._shares = self._shared_limits() if settings.EXECUTION_BACKEND == "celery" else None
        self._known: dict[UUID, Delivery] = {}
        self._expected: set[UUID] = set()
        recorder.known = self.known
        self._lock = threading.Lock()
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
        if self._shares:
            self._shares.start()
        collect_rarely()

    def _shared_limits(self) -> Shares:
        async def done(work: Callable[[], Any]) -> Any:
            return work()

        def on_loop(work: Callable[[], Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(done(work), self._loop).result()

        shares = Shares(self._gate, lambda: self._recorder.worker_id, on_loop)
        self._gate.allowed = shares.allowed
        return shares

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out deliveries; returns at once."""
        with self._lock:
            self._known.update((delivery.execution_id, delivery) for delivery in deliveries)
        self._loop.call_soon_threadsafe(self._accept, deliveries)

    def try_once(self, deliverable: Deliverable, execution_id: UUID, timeout: float) -> Outcome:
        """Make one delivery that is not recorded, and wait for its outcome. Raises `DeliveryError`."""

        async def attempt() -> Outcome:
            return await deliverable.deliver(self._sender(timeout, None, []), execution_id)

        return asyncio.run_coroutine_threadsafe(attempt(), self._loop).result()

    @property
    def worker_id(self) -> UUID:
        """The id of this process's worker row."""
        return self._recorder.worker_id

    @property
    def is_full(self) -> bool:
        """Whether more deliveries had better go elsewhere: all places are taken, or very many wait for a host or their next attempt."""
        return self._gate.is_full or len(self._known) > _MOST_HELD * settings.ENGINE_CONCURRENCY

    @property
    def in_flight(self) -> int:
        """How many deliveries are not finished: under way, waiting for room, or for their next attempt."""
        return len(self._known)

    def known(self) -> set[UUID]:
        """The executions that this process carries out, or whose outcomes it has yet to store."""
        with self._lock:
            return set(self._known) | self._expected | self._recorder.pending()

    @contextmanager
    def expecting(self, ids: Iterable[UUID]) -> Iterator[None]:
        """For as long as executions are being claimed and handed to this engine: they are in good hands."""
        mine = set(ids)
        with self._lock:
            self._expected |= mine
        try:
            yield
        finally:
            with self._lock:
                self._expected -= mine

    def shutdown(self, drain: float) -> list[Delivery]:
        """Let calls under way finish for up to `drain` seconds, end the rest as failed, and record every outcome.

        Returns the deliveries whose call has not begun, or waits for its next attempt: another worker can carry them out.
        """
        asyncio.run_coroutine_threadsafe(self._stop_starting(), self._loop).result()
        deadline = time.monotonic() + drain
        while self._tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._shares:
            self._shares.stop()
        concurrent.futures.wait([asyncio.run_coroutine_threadsafe(self._close(), self._loop)])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._recorder.stop()
        return list(self._known.values())

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

    async def _stop_starting(self) -> None:
        self._closing = True
        self._gate.clear()
        # A task that is cancelled before its first step would end without a word.
        await asyncio.sleep(0)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    def _accept(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            course = Course(delivery)
            if delivery.delay:
                self._loop.call_later(delivery.delay, self._enter, course)
            else:
                self._enter(course)

    def _enter(self, course: Course) -> None:
        if not self._closing:
            self._gate.enter(course.delivery.keys, partial(self._start, course))

    def _start(self, course: Course) -> None:
        task = self._loop.create_task(self._carry_out(course))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, course: Course) -> None:
        delivery = course.delivery
        logs.execution.set(str(delivery.execution_id))
        try:
            if not self._recorder.is_current or self._recorder.worker_id != delivery.worker_id:
                log.warning("left to another worker")
                self._forget(delivery)
                return
            outcome = await self._outcome(course)
        finally:
            self._gate.leave(delivery.keys)
        course.tries += 1
        wait = self._wait(course, outcome)
        if wait is None:
            self._finish(course, outcome)
        else:
            course.attempts[-1]["next_in_seconds"] = round(wait, 3)
            self._recorder.record(Progress(delivery.execution_id, delivery.worker_id, list(course.attempts)))
            self._loop.call_later(wait, self._enter, course)

    def _wait(self, course: Course, outcome: Outcome) -> float | None:
        """Seconds to the next attempt; None where the outcome stands. Whatever happens here, the execution ends."""
        try:
            return course.delivery.retry.wait(outcome, course.tries, time.monotonic() - course.began_at)
        except Exception:
            log.exception("no next attempt could be planned")
            return None

    def _finish(self, course: Course, outcome: Outcome) -> None:
        delivery = course.delivery
        if not outcome.ok:
            # Neither the address nor the answer: both may hold secrets.
            how = outcome.response_status or outcome.failure or "no answer"
            log.info("job %s failed after %d attempts: %s", delivery.job_id, course.tries, how)
        if outcome.run:
            self._recorder.record(
                Followed(
                    execution_id=delivery.execution_id,
                    worker_id=delivery.worker_id,
                    run=outcome.run,
                    response_status=outcome.response_status,
                    output=outcome.output,
                    target=outcome.target or delivery.target,
                    attempts=course.attempts,
                )
            )
            self._forget(delivery)
            return
        self._recorder.record(
            Finished(
                execution_id=delivery.execution_id,
                worker_id=delivery.worker_id,
                job_id=delivery.job_id,
                job_name=delivery.job_name,
                manual=delivery.manual,
                started_at=delivery.started_at,
                completed_at=timezone.now(),
                target=outcome.target or delivery.target,
                outcome=outcome,
                attempts=course.attempts,
                delay=delivery.delay,
            )
        )
        self._forget(delivery)

    def _forget(self, delivery: Delivery) -> None:
        with self._lock:
            self._known.pop(delivery.execution_id, None)

    async def _outcome(self, course: Course) -> Outcome:
        delivery = course.delivery
        send = self._sender(delivery.timeout, delivery.connect_timeout, course.attempts)
        try:
            with tracing.span("delivery", execution=str(delivery.execution_id), job=str(delivery.job_id)):
                return await delivery.deliverable.deliver(send, delivery.execution_id)
        except DeliveryError as exc:
            repeatable = delivery.deliverable.repeatable or exc.failure == "connect"
            return Outcome(False, error=str(exc), failure=exc.failure, repeatable=repeatable)
        except asyncio.CancelledError:
            return _STOPPED
        except Exception:
            log.exception("the delivery failed in an unforeseen way")
            return Outcome(
                False, error="internal error: see the log of the process that made the call", repeatable=False
            )

    def _sender(self, timeout: float, connect_timeout: float | None, attempts: list[dict[str, Any]]) -> Send:
        async def send(request: Request) -> Reply:
            assert self._client is not None
            clock = time.perf_counter()
            entry: dict[str, Any] = {"started_at": utc_ms(timezone.now()), "status": None, "error": ""}
            attempts.append(entry)
            try:
                reply = await self._client.send(request, timeout, connect_timeout)
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


def shutdown_local_engine(drain: float) -> list[Delivery]:
    """End this process's engine, if it was started, with all outcomes recorded; returns what it did not begin."""
    global _engine
    with _lock:
        engine = _engine[1] if _engine is not None and _engine[0] == os.getpid() else None
        _engine = None
    return engine.shutdown(drain) if engine else []


def worker_id() -> UUID:
    """The id of this process's worker row."""
    return local_engine().worker_id
