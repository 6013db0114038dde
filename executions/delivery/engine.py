"""The delivery engine: one event loop in one thread makes all calls of this process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import uvloop
from django.conf import settings
from django.utils import timezone

from core.api.timestamps import utc_ms
from core.runtime import logs, tracing
from core.runtime.garbage import tune_garbage_collector
from core.runtime.open_files import allow_open_files
from executions.budgets import Grant, Pause
from executions.delivery.budget_queue import BudgetQueue
from executions.delivery.caller import STOPPED, sender
from executions.delivery.clock import Clock, SystemClock
from executions.delivery.concurrency import Limiter
from executions.delivery.register import Register
from executions.delivery.shared_limits import SharedLimits
from executions.delivery.state import Delivery, DeliveryState, Phase
from executions.http.client import HttpClient
from executions.http.connect import Origin
from executions.http.connection import DeliveryError
from executions.models import Status
from executions.recording.outcomes import CallBegins, Progress
from executions.recording.recorder import Recorder
from executions.targets import Outcome

log = logging.getLogger("cronsched.engine")
_RESOLVER_THREADS = 256
# Connections that are opened ahead and take longer are of no use at the instant.
_OPENED_WITHIN_SECONDS = 2.0
# Files that are no calls: the database, logs, what the process has loaded.
_OTHER_FILES = 500
# A loop that has not turned for this long hangs, and the process shows no heartbeat.
_HUNG_SECONDS = 10.0
# A process holds at most this many times ENGINE_CONCURRENCY deliveries before it leaves messages to other workers.
_BACKLOG_FACTOR = 20
# So many calls that wait for a slot are a burst.
_BURST = 100
_STOPPED = Outcome(False, error=STOPPED, repeatable=False)
_INTERNAL_ERROR = "internal error: see the log of the process that made the call"


class Engine:
    """Carries out deliveries and hands their outcomes to its recorder. Start it once; `submit` from any thread."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._register = Register()
        self._recorder = Recorder(self)
        self._clock = clock or SystemClock()
        self._loop = uvloop.new_event_loop()
        self.limiter = Limiter(settings.ENGINE_CONCURRENCY)
        self._shared_limits: SharedLimits | None = None
        if settings.EXECUTION_BACKEND == "celery":
            self._shared_limits = SharedLimits(self.limiter, lambda: self.worker_id, self.run_in_loop)
            self.limiter.allowed = self._shared_limits.allowed
        self._budgets = BudgetQueue(self._clock, self._admit, self._expire)
        self._looped_at = time.monotonic()
        self._closing = False
        # Whether more deliveries are about to be submitted.
        self.more_follow = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: HttpClient | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the recorder and the event loop."""
        # As many idle connections may be open as calls are under way.
        allow_open_files(2 * settings.ENGINE_CONCURRENCY + _OTHER_FILES)
        self._recorder.start()
        self._thread.start()
        self._ready.wait()
        if self._shared_limits:
            self._shared_limits.start()
        tune_garbage_collector()

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out deliveries; returns at once."""
        now = self._clock.monotonic()
        states = [DeliveryState(delivery, now) for delivery in deliveries]
        self._register.add(states)
        self._loop.call_soon_threadsafe(self._accept, states)

    def open_ahead(self, wanted: Mapping[Origin, int]) -> None:
        """Open connections for calls that come within seconds, at most as many to an origin and in all as calls may be
        made at once; returns at once.
        """
        left = settings.ENGINE_CONCURRENCY
        for origin, calls in wanted.items():
            count = min(calls, settings.ENGINE_CONCURRENCY_PER_HOST, left)
            left -= count
            if count:
                self._loop.call_soon_threadsafe(self._open_ahead, origin, count)

    def cancel(self, ids: Iterable[UUID]) -> None:
        """Stop executions that were cancelled: no further call of them begins, and a call under way is broken off."""
        # The recorder writes on when the loop has ended, and no call is under way any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel, list(ids))

    @property
    def worker_id(self) -> UUID:
        """The id of this process's worker row."""
        return self._recorder.worker.id

    @property
    def is_full(self) -> bool:
        """Whether other workers should take further executions: every slot is used, or the backlog here is long."""
        return self.limiter.is_full or self.open_count > _BACKLOG_FACTOR * settings.ENGINE_CONCURRENCY

    def known(self) -> set[UUID]:
        """The executions that this process claims or carries out, or whose outcomes it has yet to store."""
        # In this order: an outcome is with the recorder before its delivery leaves the register.
        return self._register.ids() | self._recorder.pending()

    def claiming(self, ids: Iterable[UUID]) -> AbstractContextManager[None]:
        """Count executions as known while they are being claimed and submitted."""
        return self._register.claiming(ids)

    def phases(self) -> dict[str, int]:
        """The number of executions in each phase."""
        return self._register.phases()

    @property
    def open_count(self) -> int:
        """The number of executions that are carried out."""
        return len(self._register)

    @property
    def in_burst(self) -> bool:
        """Whether many calls wait for a slot, or more are about to be submitted."""
        return self.more_follow or self.limiter.waiting >= _BURST

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Say that deliveries are submitted until the context ends: storing outcomes waits for them."""
        self.more_follow = True
        try:
            yield
        finally:
            self.more_follow = False

    @property
    def answers(self) -> bool:
        """Whether the event loop turns."""
        return time.monotonic() - self._looped_at < _HUNG_SECONDS

    def shutdown(self, drain: float) -> list[Delivery]:
        """Let running calls finish for up to `drain` seconds, end the rest as failed, and store every outcome.

        Returns the deliveries that have not started, or wait for their next attempt: another worker can carry them out.
        """
        asyncio.run_coroutine_threadsafe(self._stop_starting(), self._loop).result()
        deadline = time.monotonic() + drain
        while self._tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._shared_limits:
            self._shared_limits.stop()
        concurrent.futures.wait([asyncio.run_coroutine_threadsafe(self._close(), self._loop)])
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._recorder.stop()
        return [state.delivery for state in self._register.states()]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(
            concurrent.futures.ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolver")
        )
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()
        self._loop.close()

    def run_in_loop(self, work: Callable[[], Any]) -> Any:
        async def done() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    async def _open(self) -> None:
        self._client = HttpClient()
        self._note_loop()
        self._ready.set()

    def _note_loop(self) -> None:
        self._looped_at = time.monotonic()
        self._loop.call_later(1, self._note_loop)

    async def _stop_starting(self) -> None:
        self._closing = True
        self.limiter.clear()
        self._budgets.clear()
        # Let tasks that were just created take their first step: a task cancelled before it would leave no outcome.
        await asyncio.sleep(0)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    def _open_ahead(self, origin: Origin, count: int) -> None:
        if self._client and not self._closing:
            task = self._loop.create_task(self._client.open_ahead(origin, count, _OPENED_WITHIN_SECONDS))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _accept(self, states: Sequence[DeliveryState]) -> None:
        for state in states:
            if state.delivery.delay:
                self._clock.call_later(self._loop, state.delivery.delay, self._enqueue, state)
            else:
                self._enqueue(state)

    def _cancel(self, ids: list[UUID]) -> None:
        for one in ids:
            state = self._register.get(one)
            if state:
                self._register.drop(state)
                # A task that has not taken its first step looks for itself, and gives its slot back.
                if state.task and state.has_started:
                    state.task.cancel()

    def _enqueue(self, state: DeliveryState) -> None:
        if self._closing or not state.is_held:
            return
        if state.delivery.budget and not state.is_admitted:
            state.phase = Phase.BUDGET
            self._budgets.add(state)
        else:
            state.phase = Phase.LIMIT
            self.limiter.acquire(state.delivery.limits, partial(self._start, state))

    def _admit(self, state: DeliveryState) -> None:
        state.is_admitted = True
        self._enqueue(state)

    def _expire(self, state: DeliveryState, grant: Grant) -> None:
        budget = state.delivery.budget
        assert budget is not None
        why = "the budget of {} was used up"
        if grant.is_paused:
            why = "GitHub refused {} for a rate limit"
        elif grant.is_full:
            why = "all dispatches at once of {} were under way"
        reason = f"not dispatched: {why.format(budget.name)} for {budget.hold_limit_seconds} s"
        self._finish(state, Outcome(False, error=reason, repeatable=False))

    def _start(self, state: DeliveryState) -> None:
        state.phase = Phase.CALLING
        # Of the task that is made now: one that is cancelled before its first step gives nothing back.
        state.has_started = False
        self._budgets.began(state)
        state.task = self._loop.create_task(self._carry_out(state))
        self._tasks.add(state.task)

    async def _carry_out(self, state: DeliveryState) -> None:
        """Make one attempt. The execution ends, continues or is left to another worker, whatever is raised here."""
        state.has_started = True
        delivery, task = state.delivery, state.task
        logs.execution.set(delivery.execution_id)
        try:
            if self._may_begin(state) and (not delivery.deliverable.asks_first or await self._is_marked(state)):
                if state.began_at is None:
                    state.began_at = self._clock.monotonic()
                outcome = await self._deliver(state)
                if state.is_held:
                    self._go_on(state, outcome)
        except Exception:
            log.exception("the execution failed with an unexpected error")
            self._finish(state, Outcome(False, error=_INTERNAL_ERROR, repeatable=False))
        finally:
            self._tasks.discard(task)
            self.limiter.release(delivery.limits)
            self._budgets.ended(state)

    def _may_begin(self, state: DeliveryState) -> bool:
        """Whether the next attempt may begin: the execution is still this worker's, and its start deadline has not
        passed.
        """
        delivery = state.delivery
        if not state.is_held:
            return False
        if not self._recorder.worker.is_current or self.worker_id != delivery.worker_id:
            log.warning("this worker's heartbeat was late: the execution is left to another worker")
            self._register.drop(state)
            return False
        # How long a dispatch may wait for its budget is that budget's own limit.
        deadline = delivery.deadline and delivery.deadline.later_by(state.waited)
        if deadline and deadline.has_passed and not state.tries:
            reason = deadline.missed(self._register.newest_fire_time(delivery.job_id))
            if reason:
                self._finish(state, Outcome(False, error=reason), Status.MISSED)
                return False
        return True

    async def _is_marked(self, state: DeliveryState) -> bool:
        """Whether it is stored that the call begins, because the execution still belongs to this worker."""
        if await self._mark_call(state.delivery):
            return True
        log.info("the execution belongs to another worker, or has ended")
        self._register.drop(state)
        return False

    async def _mark_call(self, delivery: Delivery) -> bool:
        marked: asyncio.Future[bool] = self._loop.create_future()

        def tell(held: bool) -> None:
            if not marked.done():
                marked.set_result(held)

        def told(held: bool) -> None:
            # The recorder's thread may outlive the loop by its last batch.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(tell, held)

        self._recorder.record(CallBegins(delivery.execution_id, delivery.worker_id, told))
        return await marked

    def _go_on(self, state: DeliveryState, outcome: Outcome) -> None:
        """End the execution, or wait for its next attempt."""
        delivery = state.delivery
        state.is_admitted = False
        if outcome.pause and delivery.budget:
            self._pause(state, outcome.pause)
            return
        if outcome.ok:
            self._budgets.accepted(state)
        state.ready_at = None
        state.tries += 1
        wait = self._wait(state, outcome)
        if wait is None:
            self._finish(state, outcome)
            return
        state.attempts[-1]["next_in_seconds"] = round(wait, 3)
        self._recorder.record(Progress(delivery.execution_id, delivery.worker_id, list(state.attempts)))
        state.phase = Phase.RETRY
        self._clock.call_later(self._loop, wait, self._enqueue, state)

    def _pause(self, state: DeliveryState, pause: Pause) -> None:
        """Wait for the budget again: the call started nothing, so it is no attempt."""
        if not state.tries:
            state.began_at = None
        self._recorder.record(Progress(state.delivery.execution_id, state.delivery.worker_id, list(state.attempts)))
        state.phase = Phase.BUDGET
        self._budgets.refused(state, pause)

    def _wait(self, state: DeliveryState, outcome: Outcome) -> float | None:
        """Seconds until the next attempt; None if the outcome is final, or if no attempt can be planned."""
        assert state.began_at is not None
        try:
            return state.delivery.retry.wait(outcome, state.tries, self._clock.monotonic() - state.began_at)
        except Exception:
            log.exception("the next attempt could not be planned")
            return None

    def _finish(self, state: DeliveryState, outcome: Outcome, unrun: Status | None = None) -> None:
        self._recorder.record(state.followed(outcome) if outcome.run else state.ended(outcome, unrun))
        self._register.drop(state)

    async def _deliver(self, state: DeliveryState) -> Outcome:
        delivery, calls = state.delivery, len(state.attempts)
        assert self._client is not None
        send = sender(self._client, delivery.timeout, delivery.connect_timeout, state.calls)
        try:
            with tracing.span("delivery", execution=delivery.execution_id, job=delivery.job_id):
                outcome = await delivery.deliverable.deliver(send, delivery.call(state.tries + 1))
        except DeliveryError as exc:
            repeatable = delivery.deliverable.repeatable or exc.failure == "connect"
            outcome = Outcome(False, error=str(exc), failure=exc.failure, repeatable=repeatable)
        except asyncio.CancelledError:
            return _STOPPED
        except Exception:
            log.exception("the delivery failed with an unexpected error")
            return Outcome(False, error=_INTERNAL_ERROR, repeatable=False)
        outcome = state.calls.without_secrets(outcome)
        if outcome.failure and len(state.attempts) == calls:
            # No call was made, for example because the credential could not be read.
            state.attempts.append(
                {"started_at": utc_ms(timezone.now()), "status": None, "error": outcome.error, "duration_seconds": 0.0}
            )
        return outcome


_engine: tuple[int, Engine] | None = None
_lock = threading.Lock()
# Tests replace it by a clock that they advance by hand.
new_clock: Callable[[], Clock] = SystemClock


def local_engine() -> Engine:
    """This process's engine, started at first use; a forked child gets its own."""
    global _engine
    with _lock:
        if _engine is None or _engine[0] != os.getpid():
            engine = Engine(new_clock())
            engine.start()
            _engine = (os.getpid(), engine)
        return _engine[1]


def shutdown_local_engine(drain: float) -> list[Delivery]:
    """Stop this process's engine, if it was started, with all outcomes stored; returns the deliveries not started."""
    global _engine
    with _lock:
        engine = _engine[1] if _engine is not None and _engine[0] == os.getpid() else None
        _engine = None
    return engine.shutdown(drain) if engine else []


def worker_id() -> UUID:
    """The id of this process's worker row."""
    return local_engine().worker_id
