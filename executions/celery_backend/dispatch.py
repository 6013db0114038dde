"""Sends executions to Celery workers: batches of ids, with one queue for each kind of target.

The database rows are authoritative; a message only tells a worker where to look. The leader sends a lost message
again (`Unclaimed`), and a duplicate message finds nothing left to claim, so a broker that stops, restarts or loses
its data loses no execution. Messages are sent by a separate thread, so no caller waits for the broker. See
docs/decisions/celery-as-a-doorbell.md.
"""

from __future__ import annotations

import atexit
import datetime as dt
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from uuid import UUID

from celery import current_app
from django.utils import timezone
from kombu.exceptions import ChannelError, OperationalError

from core.db.among import among
from executions.models import Execution
from jobs.targets import kinds

log = logging.getLogger("cronsched.queueing")
TASK = "executions.carry_out"
# Version of the message format. Workers drop messages of another version.
VERSION = 1
BATCH = 300
_FLUSH_SECONDS = 2.0
_QUIET_SECONDS = 1.0
_BROKEN = (OperationalError, ChannelError, OSError)
Kinds = Mapping[UUID, str]


def queue_of(kind: str) -> str:
    """The queue of a kind of target."""
    return f"cronsched.{kind}"


def queues() -> tuple[str, ...]:
    """The queues of every kind of target."""
    return tuple(queue_of(kind.kind) for kind in kinds.registered())


class Sender:
    """A thread that sends queued messages. While the broker does not answer, messages are dropped; the leader sends
    them again.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[UUID, str]] = deque()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._quiet_until = 0.0
        threading.Thread(target=self._run, name="sender", daemon=True).start()

    def put(self, kinds: Kinds) -> None:
        """Queue executions for sending; returns at once."""
        self._idle.clear()
        self._waiting.extend(kinds.items())
        self._wake.set()

    def flush(self, seconds: float) -> None:
        """Wait until every queued message is sent, for at most `seconds`."""
        self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._send(self._taken())
            self._idle.set()

    def _taken(self) -> dict[str, list[UUID]]:
        by_kind: dict[str, list[UUID]] = {}
        for _ in range(min(len(self._waiting), 10 * BATCH)):
            execution_id, kind = self._waiting.popleft()
            by_kind.setdefault(kind, []).append(execution_id)
        return by_kind

    def _send(self, by_kind: Mapping[str, list[UUID]]) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            for kind, ids in by_kind.items():
                for start in range(0, len(ids), BATCH):
                    batch = [one.hex for one in ids[start : start + BATCH]]
                    current_app.send_task(TASK, (VERSION, batch), queue=queue_of(kind), ignore_result=True, retry=False)
        except Exception as exc:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            foreseen = isinstance(exc, _BROKEN)
            log.warning("the broker accepted no executions; they are sent again later: %s", exc, exc_info=not foreseen)


_sender: tuple[int, Sender] | None = None
_lock = threading.Lock()


def send(kinds: Kinds) -> None:
    """Let workers claim executions that belong to no worker yet; returns at once."""
    global _sender
    if not kinds:
        return
    with _lock:
        if _sender is None or _sender[0] != os.getpid():
            _sender = (os.getpid(), Sender())
            atexit.register(_sender[1].flush, _FLUSH_SECONDS)
    _sender[1].put(kinds)


def waiting_messages() -> int | None:
    """The number of messages that no worker has fetched; None while the broker does not answer."""
    try:
        with current_app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=2)
            return sum(_count(connection.default_channel, queue) for queue in queues())
    except _BROKEN:
        return None


def _count(channel: object, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)  # type: ignore[attr-defined]
    except ChannelError:
        # No message was ever sent to this queue.
        return 0


class Unclaimed:
    """Sends unclaimed executions again: soon if no message is waiting, later if the workers may only be busy."""

    SOON = dt.timedelta(seconds=2)
    BUSY = dt.timedelta(seconds=30)
    _MOST = 10_000
    _LONGEST = 60.0

    def __init__(self) -> None:
        self._sent: dict[UUID, tuple[float, float]] = {}

    def resend(self) -> int:
        """Send every execution that is due again; returns how many. One process calls it, the leader."""
        rows = Execution.objects.unclaimed().filter(started_at__lt=timezone.now() - self.SOON).order_by("started_at")
        found = list(rows.values_list("pk", "execution_type", "started_at")[: self._MOST])
        self._sent = {pk: self._sent[pk] for pk, _, _ in found if pk in self._sent}
        if not found:
            return 0
        messages = waiting_messages()
        if messages is None:
            return 0
        patience = self.SOON if messages == 0 else self.BUSY
        now, old = time.monotonic(), timezone.now() - patience
        due = {pk: kind for pk, kind, began in found if began < old and now >= self._sent.get(pk, (0.0, 0.0))[0]}
        for pk in due:
            wait = min(2 * self._sent.get(pk, (0.0, 1.0))[1], self._LONGEST)
            self._sent[pk] = (now + wait, wait)
        send(due)
        if due:
            log.info("sent %d executions again that no worker has claimed", len(due))
        return len(due)


def kinds_of(executions: Iterable[Execution]) -> dict[UUID, str]:
    """The id and the kind of target of stored executions: the arguments of `send`."""
    return {execution.pk: execution.execution_type for execution in executions}


def claim(ids: Iterable[UUID], worker_id: UUID) -> list[UUID]:
    """Claim these executions for this worker, except those that another worker holds or that have ended. Call it in a
    transaction.
    """
    free = Execution.objects.unclaimed().filter(among(ids))
    claimed = list(free.select_for_update(skip_locked=True, of=("self",)).order_by().values_list("pk", flat=True))
    Execution.objects.filter(among(claimed)).update(worker_id=worker_id)
    return claimed
