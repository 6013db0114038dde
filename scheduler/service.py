"""The scheduler process: stand by, lead, fire, hand over."""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from executions import engine
from notifications.delivery import send_due
from scheduler import housekeeping
from scheduler.clock import Clock
from scheduler.firing import fire
from scheduler.leadership import FileLeaderLock, Leader, LeaderLock, NotLeading
from scheduler.models import Resync
from scheduler.reconcile import Reconciler

log = logging.getLogger("cronsched.scheduler")
_LOOK_SECONDS = 0.2
_HEARTBEAT_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 2.0
_MAILING_SECONDS = 1.0
# A message that is being sent is claimed: who takes over does not send it a second time.
_MAILING_STOPS_SECONDS = 0.2


class SchedulerService:
    """Waits for the lead, then keeps the clock and fires, until told to stop. Survives a database that is away for a while."""

    def __init__(self, lock: LeaderLock | None = None) -> None:
        self._lock = lock or FileLeaderLock(settings.SCHEDULER_LOCK_PATH)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Stand by and lead until `stop`; then let calls under way finish and record every outcome."""
        waiting = False
        while not self._stop.is_set():
            if self._lock.acquire(timeout=0.5):
                waiting = False
                try:
                    Term(self._stop).serve()
                except (DatabaseError, InterfaceError) as exc:
                    log.warning("lost the database at the start of a term, trying again: %s", exc)
                    connection.close()
                    self._stop.wait(1)
                finally:
                    self._lock.release()
            elif not waiting:
                waiting = True
                log.info("standing by: another scheduler leads")
        engine.shutdown_local_engine(settings.ENGINE_DRAIN_SECONDS)


class Term:
    """One period of leading."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._over = threading.Event()
        self._due = threading.Event()
        self._leader = Leader()
        self._clock = Clock(self._due)
        self._reconciler = Reconciler(self._clock)
        self._last_resync_at = timezone.now()
        self._next_full = 0.0
        self._next_beat = 0.0

    def serve(self) -> None:
        """Lead until stopped or fenced off. The first firing catches up on what came due while nobody led."""
        engine.local_engine()
        self._leader.take_over()
        log.info("leading as %s with fencing token %d", self._leader.id, self._leader.token)
        self._clock.start()
        chores = housekeeping.start()
        firing = threading.Thread(target=self._fire_when_due, name="firing", daemon=True)
        firing.start()
        mailing = threading.Thread(target=self._send_messages, name="mailing", daemon=True)
        mailing.start()
        try:
            self._tend()
        finally:
            self._over.set()
            self._due.set()
            self._clock.stop()
            firing.join()
            chores.shutdown(wait=False)
            mailing.join(_MAILING_STOPS_SECONDS)
            self._resign()

    def _tend(self) -> None:
        backoff = _LOOK_SECONDS
        while not self._stop.is_set() and not self._over.is_set():
            try:
                self._look()
                backoff = _LOOK_SECONDS
            except NotLeading as exc:
                log.warning("stepping down: %s", exc)
                return
            except (DatabaseError, InterfaceError) as exc:
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                log.warning("the database did not answer, trying again in %.1f s: %s", backoff, exc)
                connection.close()
            self._stop.wait(backoff)

    def _look(self) -> None:
        close_old_connections()
        now = time.monotonic()
        if now >= self._next_full:
            self._full()
        elif self._reconciler.incremental():
            self._due.set()
        self._answer_resyncs()
        if now >= self._next_beat:
            self._leader.beat(schedules=len(self._clock), last_resync_at=self._last_resync_at)
            self._clock.look_again()
            self._next_beat = now + _HEARTBEAT_SECONDS

    def _full(self) -> dict[str, object]:
        report = self._reconciler.full()
        self._last_resync_at = timezone.now()
        self._next_full = time.monotonic() + settings.SCHEDULER_POLL_SECONDS
        self._due.set()
        return report.body()

    def _answer_resyncs(self) -> None:
        asked = list(Resync.objects.filter(answered_at=None).values_list("pk", flat=True))
        if asked:
            result = self._full()
            Resync.objects.filter(pk__in=asked).update(answered_at=timezone.now(), result=result)

    def _fire_when_due(self) -> None:
        backoff = _LOOK_SECONDS
        while not self._over.is_set():
            self._due.wait()
            self._due.clear()
            if self._over.is_set():
                break
            try:
                close_old_connections()
                fire(self._leader)
                backoff = _LOOK_SECONDS
            except NotLeading as exc:
                log.warning("stepping down: %s", exc)
                self._over.set()
            except Exception as exc:
                # What is due stays due in the database, so that nothing is lost by trying again.
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                log.warning("firing failed, trying again in %.1f s: %s", backoff, exc, exc_info=not _is_database(exc))
                connection.close()
                self._over.wait(backoff)
                self._due.set()
        connection.close()

    def _send_messages(self) -> None:
        while not self._over.wait(_MAILING_SECONDS):
            try:
                close_old_connections()
                while send_due() and not self._over.is_set():
                    continue
            except Exception:
                log.exception("sending messages failed, trying again")
                connection.close()
        connection.close()

    def _resign(self) -> None:
        try:
            self._leader.resign()
        except (DatabaseError, InterfaceError) as exc:
            log.warning("the lead could not be given up in the database: %s", exc)


def _is_database(exc: Exception) -> bool:
    return isinstance(exc, DatabaseError | InterfaceError)
