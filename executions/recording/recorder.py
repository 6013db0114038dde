"""The recorder: stores outcomes in batches, at most 100 ms late, in a burst of calls at most 1 s, and queues them for
notification.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from core.db.among import among
from core.db.turns import write_turn
from core.runtime import heartbeat
from executions.models import Execution, Status
from executions.recording import run_lines, storage
from executions.recording.outcomes import CallBegins, Finished, Followed, Item, Progress
from executions.recording.unstored import MOST_WAITING, Unstored
from executions.recording.worker import WorkerRow
from executions.signals import outcomes_queued
from executions.targets.base import Outcome

log = logging.getLogger("cronsched.recorder")
_GATHER_SECONDS = 0.05
_BATCH = 1000
# Firing waits for it, and its calls leave late.
_BATCH_BETWEEN_CHUNKS = 200
# Interval in seconds at which a worker looks for executions that were cancelled, and how long ago they may have been.
_CANCEL_SECONDS = 1.0
_RECENTLY = timedelta(minutes=5)
# Interval in seconds at which rows of this worker are compared with the engine's deliveries, and their minimum age.
SWEEP_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 5.0
# In a burst, while more than a few executions are open here, storing outcomes comes before notifying about them: until
# none came for this long, or for the longest burst.
_FEW = 20
_QUIET_SECONDS = 0.4
_LONGEST_BURST_SECONDS = 5.0


class Deliveries(Protocol):
    """What the recorder asks of the engine whose outcomes it stores. Called from the recorder's thread."""

    def known(self) -> set[UUID]:
        """The executions that the engine claims or carries out, or whose outcomes are not stored yet."""

    def cancel(self, ids: Iterable[UUID]) -> None:
        """Stop executions that were cancelled."""

    def phases(self) -> dict[str, int]:
        """The number of executions in each phase."""

    @property
    def open_count(self) -> int:
        """The number of executions that are carried out."""

    @property
    def more_follow(self) -> bool:
        """Whether more calls are about to be submitted."""

    @property
    def in_burst(self) -> bool:
        """Whether many calls wait for a slot, or more are about to be submitted."""

    @property
    def answers(self) -> bool:
        """Whether the event loop turns."""


class Recorder:
    """A thread with a queue of outcomes. A write that the database refuses is retried, so no outcome is lost.

    It also keeps this process's worker row (`worker`).
    """

    def __init__(self, engine: Deliveries) -> None:
        self.worker = WorkerRow(engine.phases)
        self._engine = engine
        self._queue: Unstored[Item] = Unstored()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._stored_at = 0.0
        self._untold_since: float | None = None
        self._swept_at = self._looked_at = time.monotonic()

    def start(self) -> None:
        """Register this process as a worker and start writing."""
        self.worker.register()
        self._thread.start()

    def record(self, item: Item) -> None:
        """Queue one outcome. May be called from any thread."""
        self._queue.add(item, is_urgent=isinstance(item, CallBegins))
        self._wake.set()

    def pending(self) -> set[UUID]:
        """The executions whose outcomes are not stored yet."""
        return {item.execution_id for item in self._queue}

    def stop(self) -> None:
        """Write the remaining outcomes, delete the worker row, and end the thread."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        backoff = 0.1
        while not (self._stopping.is_set() and not self._queue):
            if not self._queue:
                self._wake.wait(_CANCEL_SECONDS if self._untold_since is None else _QUIET_SECONDS)
            self._wake.clear()
            self._stopping.wait(_GATHER_SECONDS)
            try:
                self._flush()
                self.worker.beat()
                self._queue_further()
                self._sweep()
                self._look_for_cancelled()
                backoff = 0.1
                if self._engine.answers:
                    heartbeat.beat("worker")
            except Exception as exc:
                # An exception here would end the thread, and every later outcome would be lost.
                foreseen = isinstance(exc, DatabaseError | InterfaceError)
                log.warning(
                    "outcomes could not be stored, trying again in %.1f s: %s", backoff, exc, exc_info=not foreseen
                )
                connection.close()
                if self._stopping.is_set() and not foreseen:
                    log.error("%d outcomes are not stored: recovery takes these executions over", len(self._queue))
                    break
                time.sleep(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                self._wake.set()
        self.worker.leave()

    def _flush(self) -> None:
        while self._queue and (self._stopping.is_set() or not self._queue.may_wait(in_burst=self._engine.in_burst)):
            has_room = len(self._queue) < MOST_WAITING
            batch = self._queue.first(_BATCH_BETWEEN_CHUNKS if self._engine.more_follow and has_room else _BATCH)
            try:
                _write(batch)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("a batch of outcomes cannot be stored: storing one by one")
                for item in batch:
                    _write_or_end(item)
            self._queue.drop(len(batch))
            run_lines.tell(batch)
            self._stored_at = time.monotonic()
            self._untold_since = self._untold_since or self._stored_at
            self.worker.beat()

    def _queue_further(self) -> None:
        """Let the notifications about stored outcomes be decided: at once, or after a burst when no more arrive. An
        error there concerns no outcome; what is queued stays queued.
        """
        now = time.monotonic()
        if self._untold_since is None or self._queue:
            return
        in_burst = now - self._stored_at < _QUIET_SECONDS and now - self._untold_since < _LONGEST_BURST_SECONDS
        if in_burst and self._engine.open_count > _FEW:
            return
        try:
            again = any(more for _, more in outcomes_queued.send(sender=Recorder))
        except Exception as exc:
            again = True
            foreseen = isinstance(exc, DatabaseError | InterfaceError)
            log.warning("notifications about outcomes failed, trying again: %s", exc, exc_info=not foreseen)
            connection.close()
        self._untold_since = now if again else None
        if again and not self._stopping.is_set():
            self._wake.set()

    def _sweep(self) -> None:
        """Release executions that belong to this worker in the database but that its engine does not hold: the commit
        was not confirmed, or they were released to workers that never claimed them. No call of them has begun.
        """
        now = time.monotonic()
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        mine = Execution.objects.filter(status=Status.RUNNING, run_id=None, worker_id=self.worker.id)
        settled = mine.filter(started_at__lt=timezone.now() - timedelta(seconds=SWEEP_SECONDS))
        # Read before the engine is asked: what is claimed in between is known to it, or not among the rows.
        rows = list(settled.order_by().values_list("pk", flat=True))
        known = self._engine.known()
        stray = [pk for pk in rows if pk not in known]
        if stray:
            log.warning("%d executions of this worker are unknown to its engine: released", len(stray))
            for start in range(0, len(stray), _BATCH):
                mine.filter(among(stray[start : start + _BATCH])).update(worker_id=None)

    def _look_for_cancelled(self) -> None:
        """Let the engine stop the executions of this worker that were cancelled, by whatever process."""
        now = time.monotonic()
        if now - self._looked_at < _CANCEL_SECONDS:
            return
        self._looked_at = now
        known = self._engine.known()
        if known:
            cancelled = Execution.objects.filter(
                status=Status.CANCELLED, worker_id=self.worker.id, completed_at__gte=timezone.now() - _RECENTLY
            )
            self._engine.cancel(known.intersection(cancelled.order_by().values_list("pk", flat=True)))


def _write(items: list[Item]) -> None:
    with write_turn():
        storage.store([item for item in items if isinstance(item, Finished)])
        storage.note([item for item in items if isinstance(item, Progress)])
        storage.store_followed([item for item in items if isinstance(item, Followed)])
        storage.mark_calls([item for item in items if isinstance(item, CallBegins)])


def _write_or_end(item: Item) -> None:
    """Write one outcome. If the database rejects its values, the execution ends as failed with a plain reason."""
    try:
        _write([item])
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("the outcome of an execution cannot be stored", extra={"execution": str(item.execution_id)})
        if isinstance(item, Finished):
            outcome = Outcome(
                False, item.outcome.response_status, error="internal error: its outcome could not be stored"
            )
            _write([item._replace(outcome=outcome, target="", attempts=[], exchanged=None)])
        elif isinstance(item, Followed):
            _write([item._replace(run=item.run._replace(url=""), output="", target="", exchanged=None)])
        elif isinstance(item, CallBegins):
            item.told(False)
