"""The recorder: stores outcomes in batches, at most 100 ms late, in a burst of calls at most 1 s, and queues them for
notification.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from core.db.bulk import insert_new, update_many
from core.runtime import heartbeat
from executions import exchanges
from executions.exchanges import Exchanged
from executions.models import OPEN, BudgetWait, Execution, PendingOutcome, Poll, Status, Worker
from executions.signals import outcomes_queued
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from executions.targets import KINDS
from executions.targets.base import Outcome, Run
from executions.unstored import Unstored
from jobs.models import Job, Revision

log = logging.getLogger("cronsched.recorder")
_GATHER_SECONDS = 0.05
_BATCH = 1000
HEARTBEAT_SECONDS = 5.0
# Interval in seconds at which a worker looks for executions that were cancelled, and how long ago they may have been.
_CANCEL_SECONDS = 1.0
_RECENTLY = timedelta(minutes=5)
# Interval in seconds at which rows of this worker are compared with the engine's deliveries, and their minimum age.
SWEEP_SECONDS = 10.0
# Seconds without a heartbeat after which a worker is considered dead.
STALE_SECONDS = 15.0
_LONGEST_BACKOFF_SECONDS = 5.0
# The first interval at which a status address is asked that names none, and the longest that one may name.
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 5.0, 24 * 3600.0
# In a burst, while more than a few executions are open here, storing outcomes comes before notifying about them: until
# none came for this long, or for the longest burst.
_FEW = 20
_QUIET_SECONDS = 0.4
_LONGEST_BURST_SECONDS = 5.0


class Finished(NamedTuple):
    """An execution that has ended, before and after it is stored.

    `unrun` is MISSED or CANCELLED for an execution that ends without an outcome of its call; `outcome.error` says why.
    `jitter` is the job's own delay after the fire time, in seconds.
    """

    execution_id: UUID
    worker_id: UUID | None
    job_id: UUID
    job_name: str
    manual: bool
    started_at: datetime
    completed_at: datetime
    target: str
    outcome: Outcome
    attempts: list[dict[str, Any]]
    jitter: float = 0
    unrun: Status | None = None
    kind: str = "webhook"
    exchanged: Exchanged | None = None

    @classmethod
    def of(
        cls, execution: Execution, outcome: Outcome, worker_id: UUID | None, unrun: Status | None = None
    ) -> Finished:
        """A stored execution that ends now with this outcome."""
        return cls(
            execution_id=execution.pk,
            worker_id=worker_id,
            job_id=execution.job_id,
            job_name=execution.job.name,
            manual=execution.scheduled_for is None,
            started_at=execution.started_at,
            completed_at=timezone.now(),
            target=execution.target,
            outcome=outcome,
            attempts=execution.attempts,
            jitter=0 if execution.scheduled_for is None else execution.job.jitter,
            unrun=unrun,
        )

    @classmethod
    def missed(cls, execution: Execution, reason: str, worker_id: UUID | None) -> Finished:
        """A stored execution that has missed its start deadline."""
        return cls.of(execution, Outcome(False, error=reason), worker_id, Status.MISSED)

    @property
    def status(self) -> Status:
        return self.unrun or (Status.SUCCESS if self.outcome.ok else Status.FAILED)

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from the start to the end; None for a missed execution, which did not run."""
        if self.unrun == Status.MISSED:
            return None
        return round((self.completed_at - self.started_at).total_seconds(), 3)


def stored(ids: Sequence[UUID]) -> list[Finished]:
    """The outcomes of these executions as they are stored, in this order, without attempts and answers. Those of
    deleted jobs are left out. Plain columns, because thousands may arrive at once.
    """
    rows = Execution.objects.filter(pk__in=ids, job__deleted_at=None).order_by().values_list(*_STORED)
    found = {row[0]: _of_row(*row) for row in rows}
    return [found[pk] for pk in ids if pk in found]


_STORED = (
    "pk",
    "worker_id",
    "job_id",
    "job__name",
    "scheduled_for",
    "started_at",
    "completed_at",
    "target",
    "status",
    "response_status",
    "error_message",
    "execution_type",
)


def _of_row(
    pk: UUID,
    worker_id: UUID | None,
    job_id: UUID,
    job_name: str,
    scheduled_for: datetime | None,
    started_at: datetime,
    completed_at: datetime | None,
    target: str,
    status: str,
    response_status: int | None,
    error: str,
    kind: str,
) -> Finished:
    ran = status in _RAN
    return Finished(
        pk,
        worker_id,
        job_id,
        job_name,
        scheduled_for is None,
        started_at,
        completed_at or started_at,
        target,
        Outcome(status == Status.SUCCESS, response_status, error=error),
        [],
        unrun=None if ran else Status(status),
        kind=kind,
    )


_RAN = {Status.SUCCESS.value, Status.FAILED.value}


class Progress(NamedTuple):
    """An execution that continues: the attempts made so far."""

    execution_id: UUID
    worker_id: UUID | None
    attempts: list[dict[str, Any]]


class Followed(NamedTuple):
    """An execution whose call has ended while the run that it started continues: from here on no worker owns it.
    `ask_after`: the seconds for which the run's status address asks to be left alone; 0 if it does not say.
    """

    execution_id: UUID
    worker_id: UUID | None
    run: Run
    response_status: int | None
    output: str
    target: str
    attempts: list[dict[str, Any]]
    exchanged: Exchanged | None = None
    ask_after: float = 0


class CallBegins(NamedTuple):
    """A call before which the database is asked is about to begin. `told` is called once that is stored, with whether
    the execution has not ended and still belongs to its worker.
    """

    execution_id: UUID
    worker_id: UUID | None
    told: Callable[[bool], object]


Item = Finished | Progress | Followed | CallBegins


class Recorder:
    """A thread with a queue of outcomes. A write that the database refuses is retried, so no outcome is lost.

    The recorder also keeps this process's worker row. Its heartbeat shows that the executions of `worker_id` are
    being delivered. If no heartbeat could be written for `STALE_SECONDS` (the process was suspended, or the database
    was unreachable), other workers may have taken these executions over: deliveries that have not begun are left to
    them (`is_current`), and the process continues as a new worker.
    """

    def __init__(self) -> None:
        self.worker_id = uuid4()
        self._queue: Unstored[Item] = Unstored()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._beat_at = 0.0
        self._stored_at = 0.0
        self._untold_since: float | None = None
        self._swept_at = self._looked_at = time.monotonic()
        # The engine tells which executions it holds, and stops those that were cancelled.
        self.known: Callable[[], set[UUID]] = set
        self.cancel: Callable[[Iterable[UUID]], object] = list
        self.phases: Callable[[], dict[str, int]] = dict
        self.open_count: Callable[[], int] = lambda: 0
        self.waiting_calls: Callable[[], int] = lambda: 0
        self.engine_answers: Callable[[], bool] = lambda: True

    def start(self) -> None:
        """Register this process as a worker and start writing."""
        self._register()
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether no other process can consider this worker dead."""
        return time.monotonic() - self._beat_at < STALE_SECONDS

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

    def _register(self) -> None:
        Worker.objects.create(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            namespace=pid_namespace(),
            memory_bytes=memory_of_this_process(),
        )
        self._beat_at = time.monotonic()

    def _run(self) -> None:
        backoff = 0.1
        while not (self._stopping.is_set() and not self._queue):
            if not self._queue:
                self._wake.wait(_CANCEL_SECONDS if self._untold_since is None else _QUIET_SECONDS)
            self._wake.clear()
            self._stopping.wait(_GATHER_SECONDS)
            try:
                self._flush()
                self._beat()
                self._queue_further()
                self._sweep()
                self._look_for_cancelled()
                backoff = 0.1
                if self.engine_answers():
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
        self._leave()

    def _flush(self) -> None:
        while self._queue and (self._stopping.is_set() or not self._queue.may_wait(self.waiting_calls())):
            batch = self._queue.first(_BATCH)
            try:
                _write(batch)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("a batch of outcomes cannot be stored: storing one by one")
                for item in batch:
                    _write_or_end(item)
            self._queue.drop(len(batch))
            self._stored_at = time.monotonic()
            self._untold_since = self._untold_since or self._stored_at
            self._beat()

    def _queue_further(self) -> None:
        """Let the notifications about stored outcomes be decided: at once, or after a burst when no more arrive. An
        error there concerns no outcome; what is queued stays queued.
        """
        now = time.monotonic()
        if self._untold_since is None or self._queue:
            return
        in_burst = now - self._stored_at < _QUIET_SECONDS and now - self._untold_since < _LONGEST_BURST_SECONDS
        if in_burst and self.open_count() > _FEW:
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

    def _beat(self) -> None:
        now = time.monotonic()
        if not self.is_current:
            log.warning("no heartbeat for %.0f s: continuing as a new worker", now - self._beat_at)
            Worker.objects.filter(pk=self.worker_id).delete()
            self.worker_id = uuid4()
            self._register()
        elif now - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = now if self._heartbeat() else 0.0

    def _sweep(self) -> None:
        """Release executions that belong to this worker in the database but that its engine does not hold: the commit
        was not confirmed, or they were released to workers that never claimed them. No call of them has begun.
        """
        now = time.monotonic()
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        mine = Execution.objects.filter(status=Status.RUNNING, run_id=None, worker_id=self.worker_id)
        settled = mine.filter(started_at__lt=timezone.now() - timedelta(seconds=SWEEP_SECONDS))
        # Read before the engine is asked: what is claimed in between is known to it, or not among the rows.
        rows = list(settled.order_by().values_list("pk", flat=True))
        known = self.known()
        stray = [pk for pk in rows if pk not in known]
        if stray:
            log.warning("%d executions of this worker are unknown to its engine: released", len(stray))
            for start in range(0, len(stray), _BATCH):
                mine.filter(pk__in=stray[start : start + _BATCH]).update(worker_id=None)

    def _look_for_cancelled(self) -> None:
        """Let the engine stop the executions of this worker that were cancelled, by whatever process."""
        now = time.monotonic()
        if now - self._looked_at < _CANCEL_SECONDS:
            return
        self._looked_at = now
        known = self.known()
        if known:
            cancelled = Execution.objects.filter(
                status=Status.CANCELLED, worker_id=self.worker_id, completed_at__gte=timezone.now() - _RECENTLY
            )
            self.cancel(known.intersection(cancelled.order_by().values_list("pk", flat=True)))

    def _heartbeat(self) -> bool:
        return bool(
            Worker.objects.filter(pk=self.worker_id).update(
                heartbeat_at=timezone.now(), memory_bytes=memory_of_this_process(), phases=self.phases()
            )
        )

    def _leave(self) -> None:
        try:
            Worker.objects.filter(pk=self.worker_id).delete()
        except DatabaseError as exc:
            log.warning("the worker row could not be deleted: %s", exc)
        connection.close()


@cache
def pid_namespace() -> str:
    """Identifies the boot and the PID namespace in which this process's pid means it; '' where the system does not
    tell (proc(5), pid_namespaces(7)).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def memory_of_this_process() -> int | None:
    """Resident memory in bytes; None if the system does not report it (proc(5), statm)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _write(items: list[Item]) -> None:
    store([item for item in items if isinstance(item, Finished)])
    note([item for item in items if isinstance(item, Progress)])
    store_followed([item for item in items if isinstance(item, Followed)])
    mark_calls([item for item in items if isinstance(item, CallBegins)])


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


@transaction.atomic
def store(batch: list[Finished]) -> None:
    """Write outcomes to executions that are open and still belong to their worker, and to their jobs, and queue them
    for notification.
    """
    held = _held(batch)
    _note_calls([one for one in batch if one.execution_id not in held])
    # The others belong to another worker, or have ended already.
    batch = [one for one in batch if one.execution_id in held and held[one.execution_id].worker_id == one.worker_id]
    if not batch:
        return
    if connection.features.has_select_for_update:
        lock_jobs({one.job_id for one in batch})
    columns = (
        "status",
        "completed_at",
        "duration_seconds",
        "response_status",
        "error_message",
        "output",
        "target",
        "attempts",
    )
    update_many(Execution, columns, ("id",), [_row(finished) for finished in batch])
    exchanges.store((one.execution_id, one.exchanged) for one in batch)
    by_outcome: defaultdict[tuple[str, datetime], list[UUID]] = defaultdict(list)
    for finished in batch:
        by_outcome[finished.status.value, finished.started_at].append(finished.job_id)
    for (status, started_at), job_ids in sorted(by_outcome.items()):
        Job.objects.filter(pk__in=job_ids, last_execution_at=started_at).update(last_status=status)
    waited = _waits_for_budgets(held)
    rollups.count([_ended(one, held[one.execution_id], waited.get(one.execution_id, 0.0)) for one in batch])
    queue_outcomes(one.execution_id for one in batch if one.status != Status.CANCELLED)
    # Last, because every transaction that changes the job list waits for this row.
    Revision.bump()


@transaction.atomic
def correct_outcome(execution_id: UUID, outcome: Outcome, seconds: float) -> bool:
    """Change how an ended execution ended, because its work elsewhere was done again in `seconds`; returns whether it
    did. Statistics follow. Its people hear of it if it is the latest run of its job, as of any outcome.
    """
    rows = Execution.objects.select_for_update().filter(pk=execution_id).exclude(status__in=OPEN)
    one = rows.first()
    if one is None:
        return False
    before, status = Status(one.status), Status.SUCCESS if outcome.ok else Status.FAILED
    took = (one.duration_seconds or 0.0) + seconds
    old = Ended(one.job_id, one.execution_type, one.started_at, before, one.duration_seconds)
    lock_jobs({one.job_id})
    rows.update(
        status=status,
        completed_at=timezone.now(),
        duration_seconds=took,
        error_message=outcome.error,
        output=outcome.output,
    )
    rollups.move(old, old._replace(status=status, seconds=took))
    Job.objects.filter(pk=one.job_id, last_execution_at=one.started_at).update(last_status=status)
    newer = Execution.objects.filter(job=one.job_id, started_at__gt=one.started_at, status__in=_RAN)
    if status != before and not newer.exists():
        queue_outcomes([one.pk])
    Revision.bump()
    return True


def queue_outcomes(ids: Iterable[UUID]) -> None:
    """Queue ended executions for notification, in the transaction that ends them."""
    insert_new(PendingOutcome, ("execution_id", "problem"), [(one, "") for one in ids])


def lock_jobs(job_ids: Iterable[UUID]) -> None:
    """Lock jobs in the order in which firing does, and before their rollups, to avoid deadlocks."""
    locked = Job.objects.filter(pk__in=job_ids).order_by("next_run_at", "id").select_for_update(of=("self",))
    list(locked.values_list("pk", flat=True))


class _Held(NamedTuple):
    """The columns of an open execution that recording reads."""

    worker_id: UUID | None
    scheduled_for: datetime | None
    kind: str


def _held(batch: list[Finished]) -> dict[UUID, _Held]:
    """The executions of these outcomes that are still open, locked."""
    rows = Execution.objects.filter(pk__in=[one.execution_id for one in batch], status__in=OPEN)
    found = rows.select_for_update().order_by("pk").values_list("pk", "worker_id", "scheduled_for", "execution_type")
    return {pk: _Held(worker_id, due, kind) for pk, worker_id, due, kind in found}


def _waits_for_budgets(held: dict[UUID, _Held]) -> dict[UUID, float]:
    """The seconds for which the budget of a credential let executions wait."""
    budgeted = {kind.kind for kind in KINDS if kind.has_budget}
    dispatched = [pk for pk, one in held.items() if one.kind in budgeted]
    if not dispatched:
        return {}
    waits = BudgetWait.objects.filter(pk__in=dispatched, seconds__isnull=False)
    return {pk: seconds or 0.0 for pk, seconds in waits.values_list("pk", "seconds")}


def _ended(one: Finished, held: _Held, waited: float) -> Ended:
    lag = _fire_lag(one, held.scheduled_for, waited)
    return Ended(one.job_id, held.kind, one.started_at, one.status, one.duration_seconds, lag)


def _fire_lag(one: Finished, fire_time: datetime | None, waited: float) -> float | None:
    """Seconds from the fire time to the first call, without the job's own jitter and what it waited for a budget; None
    for a manual run or if no call was made.
    """
    if fire_time is None or not one.attempts:
        return None
    first = datetime.fromisoformat(one.attempts[0]["started_at"])
    return max(0.0, (first - fire_time).total_seconds() - one.jitter - waited)


def note(batch: list[Progress]) -> None:
    """Write the attempts of executions that continue, and that no call of them is under way."""
    rows = [(item.attempts, None, item.execution_id, item.worker_id) for item in batch]
    columns = ("attempts", "call_began_at")
    update_many(Execution, columns, ("id", "worker_id"), rows, condition=f"AND status IN {OPEN_SQL}")


def mark_calls(batch: list[CallBegins]) -> None:
    """Write that calls begin, and tell the engine which of them it may make."""
    for worker_id in {item.worker_id for item in batch}:
        mine = [item for item in batch if item.worker_id == worker_id]
        held = Execution.objects.filter(
            pk__in=[item.execution_id for item in mine], worker_id=worker_id, status=Status.RUNNING
        )
        held.update(call_began_at=timezone.now())
        kept = set(held.filter(call_began_at__isnull=False).order_by().values_list("pk", flat=True))
        for item in mine:
            item.told(item.execution_id in kept)


@transaction.atomic
def store_followed(batch: list[Followed]) -> None:
    """Write the runs that are followed from here on, and the status addresses of those that are polled."""
    columns = ("run_id", "run_url", "response_status", "output", "target", "attempts", "worker_id", "call_began_at")
    rows = [
        (
            one.run.id,
            one.run.url,
            one.response_status,
            one.output,
            one.target,
            one.attempts,
            None,
            None,
            one.execution_id,
            one.worker_id,
        )
        for one in batch
    ]
    update_many(Execution, columns, ("id", "worker_id"), rows, condition=f"AND status IN {OPEN_SQL}")
    exchanges.store((one.execution_id, one.exchanged) for one in batch)
    _note_calls(batch)
    _add_polls([one for one in batch if one.run.poll_url])


def _add_polls(batch: list[Followed]) -> None:
    if not batch:
        return
    # The others belong to another worker by now, or have ended.
    awaited = Execution.objects.awaited().filter(pk__in=[one.execution_id for one in batch], worker_id=None)
    ours, now = set(awaited.values_list("pk", flat=True)), timezone.now()
    rows = [
        (
            one.execution_id,
            one.run.poll_url,
            now + timedelta(seconds=min(one.ask_after or FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS)),
            FIRST_POLL_SECONDS,
        )
        for one in batch
        if one.execution_id in ours
    ]
    insert_new(Poll, ("execution", "url", "next_at", "wait_seconds"), rows)


def _note_calls(batch: Sequence[Finished | Followed]) -> None:
    """Write the calls of executions that ended otherwise while they were made, such as by a callback of their
    receiver.
    """
    made = {(one.execution_id, one.worker_id): one for one in batch if one.exchanged}
    if not made:
        return
    ended = Execution.objects.filter(pk__in=[pk for pk, _ in made]).exclude(status__in=OPEN).order_by()
    late = [made[key] for key in ended.values_list("pk", "worker_id") if key in made]
    update_many(Execution, ("attempts",), ("id",), [(one.attempts, one.execution_id) for one in late])
    exchanges.store((one.execution_id, one.exchanged) for one in late)


OPEN_SQL = "({})".format(", ".join(f"'{status.value}'" for status in OPEN))


def _row(finished: Finished) -> tuple[Any, ...]:
    outcome = finished.outcome
    return (
        finished.status.value,
        finished.completed_at,
        finished.duration_seconds,
        outcome.response_status,
        outcome.error,
        outcome.output,
        finished.target,
        finished.attempts,
        finished.execution_id,
    )
