"""The scheduler process: it stands by, takes over leadership, fires, and steps down."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from core.db.sessions import end_stalled_sessions
from core.runtime import heartbeat
from executions import holds
from executions.backends import new_worker_id, shut_down
from executions.batches.start import seconds_to_next, start_due
from executions.celery_backend.dispatch import Unclaimed
from executions.completion.limits import end_overdue
from executions.completion.polls import Poller
from executions.recovery import end_missed, recover, rescue
from executions.runs.follower import RunFollower
from jobs.models import Revision
from notifications import digests
from notifications.channels import SENDERS
from notifications.outbox import send_due
from notifications.outcomes import notify_pending
from notifications.routing import notify_zones
from scheduler import chores
from scheduler.ahead import Ahead
from scheduler.clock import Clock
from scheduler.closed_days import ClosedDays
from scheduler.firing import fire
from scheduler.leadership import Leader, LeaderLock, NotLeading, configured_lock
from scheduler.models import Resync
from scheduler.reconcile import Reconciler

log = logging.getLogger("cronsched.scheduler")
_LOOK_SECONDS = 0.2
_HEARTBEAT_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 2.0
# Firing, delivery and recording share one interpreter. Python's default switch interval of 5 ms makes 10,000 calls take
# a tenth longer.
_SWITCH_SECONDS = 0.02
_STANDBY_SECONDS = 0.2
_RECOVERY_SECONDS = 3.0
_UNCLAIMED_SECONDS = 1.0
_DEADLINE_SECONDS = 10.0
_MAILING_SECONDS = 1.0
# A recorder is quicker with the outcomes that it stores.
_NOTIFYING_SECONDS = 5.0
_FOLLOWING_SECONDS = 1.0
_CLOSED_SECONDS = 5.0
_AHEAD_SECONDS = 1.0
_FOLLOW_WINDOWS_SECONDS = 10.0
_HELD_SECONDS = 1.0
# Messages are claimed before they are sent, so that the next leader does not send them again.
_OTHERS_STOP_SECONDS = 0.5


class SchedulerProcess:
    """Waits for leadership, then runs the clock and fires until it is stopped. It survives an unreachable database."""

    def __init__(self, lock: LeaderLock | None = None) -> None:
        self._lock = lock or configured_lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Request the end; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Stand by and lead until `stop`; then let running calls end and store every outcome."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        waiting = False
        while not self._stop.is_set():
            heartbeat.beat("scheduler")
            try:
                leader = self._take_over()
                if leader:
                    waiting = False
                    Term(leader, self._lock, self._stop).serve()
                elif not waiting:
                    waiting = True
                    log.info("standing by: another scheduler leads")
            except (DatabaseError, InterfaceError) as exc:
                log.warning("the database did not answer, trying again: %s", exc)
                connection.close()
                self._stop.wait(1)
        self._lock.release()
        shut_down()
        heartbeat.stop("scheduler")

    def _take_over(self) -> Leader | None:
        """Become the leader if nobody leads: the lock is free, or the lease of its holder has expired."""
        has_lock = self._lock.acquire(_STANDBY_SECONDS)
        leader = Leader()
        if leader.try_take_over(has_lock=has_lock):
            return leader
        self._lock.release()
        return None


class Term:
    """One period of leadership."""

    def __init__(self, leader: Leader, lock: LeaderLock, stop: threading.Event) -> None:
        self._leader = leader
        self._lock = lock
        self._stop = stop
        self._over = threading.Event()
        self._due = threading.Event()
        self._clock = Clock(self._due)
        self._reconciler = Reconciler(self._clock)
        self._closed_days = ClosedDays(leader)
        self._ahead = Ahead()
        self._last_resync_at = timezone.now()
        self._edits_followed, self._next_follow = -1, 0.0
        self._next_full = 0.0
        self._next_beat = 0.0

    def serve(self) -> None:
        """Lead until stopped or fenced off. The first firing catches up on fire times that came due before."""
        # With the local backend, this process delivers the calls.
        new_worker_id()
        log.info("leading as %s with fencing token %d", self._leader.id, self._leader.token)
        self._clock.start()
        threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in self._work()]
        for thread in threads:
            thread.start()
        try:
            self._tend()
        finally:
            self._over.set()
            self._due.set()
            self._ahead.stop()
            self._clock.stop()
            threads[0].join()
            self._resign()
            self._lock.release()
            for thread in threads[1:]:
                thread.join(_OTHERS_STOP_SECONDS)

    def _work(self) -> list[tuple[str, Callable[[], None]]]:
        """What the threads of a leader do; firing is the first."""
        return [
            ("fire", self._fire_when_due),
            ("plan ahead", partial(self._repeat, self._ahead.prepare, _AHEAD_SECONDS, "planning ahead failed")),
            ("recover", self._recover_executions),
            # Outcomes that no recorder has: of processes that ended, of this process's other threads.
            ("notify", partial(self._repeat, notify_pending, _NOTIFYING_SECONDS, "notifications failed")),
            # No channel waits for another.
            *(
                (
                    f"send {channel}",
                    partial(self._repeat, partial(send_due, channel), _MAILING_SECONDS, "sending failed"),
                )
                for channel in SENDERS
            ),
            ("batches", partial(self._repeat, start_due, seconds_to_next, "batches could not be started")),
            ("closed days", partial(self._repeat, self._closed_days.record, _CLOSED_SECONDS, "closed days failed")),
            ("windows", partial(self._repeat, self._follow_windows, _HELD_SECONDS, "windows could not be followed")),
            ("time zones", self._follow_time_zones),
            ("follow runs", self._follow_runs),
            ("polls", partial(self._repeat, Poller().poll, _FOLLOWING_SECONDS, "status addresses could not be asked")),
            ("chores", self._keep_chores),
        ]

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
            except Exception:
                # An error in these steps must not stop firing, which runs in another thread.
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                log.exception("reconciliation failed, trying again in %.1f s", backoff)
                connection.close()
                self._due.set()
            self._stop.wait(backoff)

    def _look(self) -> None:
        close_old_connections()
        heartbeat.beat("scheduler")
        now = time.monotonic()
        if now >= self._next_beat:
            # If the lease of a suspended process was taken over, its lock is released when it steps down.
            has_lock = self._lock.acquire(0)
            self._leader.beat(schedules=len(self._clock), last_resync_at=self._last_resync_at, has_lock=has_lock)
            self._clock.admit_waiting()
            self._next_beat = now + _HEARTBEAT_SECONDS
        if now >= self._next_full:
            self._full()
        elif self._reconciler.incremental():
            self._due.set()
        self._answer_resyncs()

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
                fire(self._leader, self._over, self._ahead)
                backoff = _LOOK_SECONDS
            except NotLeading as exc:
                log.warning("stepping down: %s", exc)
                self._over.set()
            except Exception as exc:
                # What is due stays due in the database, so a retry loses nothing.
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
                log.warning("firing failed, trying again in %.1f s: %s", backoff, exc, exc_info=not _is_database(exc))
                connection.close()
                self._over.wait(backoff)
                self._due.set()
        connection.close()

    def _recover_executions(self) -> None:
        unclaimed = Unclaimed() if settings.EXECUTION_BACKEND == "celery" else None
        next_look = 0.0
        while not self._over.wait(_UNCLAIMED_SECONDS if unclaimed else _RECOVERY_SECONDS):
            try:
                close_old_connections()
                end_stalled_sessions()
                recover()
                if unclaimed:
                    unclaimed.resend()
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + _DEADLINE_SECONDS
                    rescue()
                    end_missed()
                    end_overdue()
            except Exception as exc:
                log.warning("executions could not be recovered, trying again: %s", exc, exc_info=not _is_database(exc))
                connection.close()
        connection.close()

    def _repeat(self, work: Callable[[], object], pause: float | Callable[[], float], failure: str) -> None:
        """Do the work every few seconds, or after what `pause` answers, and again at once as long as it says that there
        is more.
        """
        seconds = _LOOK_SECONDS if callable(pause) else pause
        while not self._over.wait(seconds):
            try:
                close_old_connections()
                while work() and not self._over.is_set():
                    continue
                seconds = pause() if callable(pause) else pause
            except Exception as exc:
                log.warning("%s, trying again: %s", failure, exc, exc_info=not _is_database(exc))
                connection.close()
        connection.close()

    def _follow_windows(self) -> None:
        """Follow the windows of what they hold and gather: after an edit, when some may start, and every ten seconds.
        Wake the firing thread, which starts queued executions.
        """
        edits = Revision.both()[1]
        if edits == self._edits_followed and time.monotonic() < self._next_follow and not holds.are_due():
            return
        self._edits_followed, self._next_follow = edits, time.monotonic() + _FOLLOW_WINDOWS_SECONDS
        digests.review()
        if holds.review(timezone.now()):
            self._due.set()

    def _follow_time_zones(self) -> None:
        """Once in a term: a process reads the time zone data when it starts."""
        while not self._over.is_set():
            try:
                notify_zones()
                break
            except Exception as exc:
                log.warning("next runs could not be looked at, trying again: %s", exc, exc_info=not _is_database(exc))
                connection.close()
                self._over.wait(_LONGEST_BACKOFF_SECONDS)
        connection.close()

    def _follow_runs(self) -> None:
        follower = RunFollower()
        while not self._over.wait(_FOLLOWING_SECONDS):
            try:
                close_old_connections()
                follower.poll()
            except Exception:
                log.exception("polling workflow runs failed, trying again")
                connection.close()
                self._over.wait(_LONGEST_BACKOFF_SECONDS)
        follower.close()
        connection.close()

    def _keep_chores(self) -> None:
        while not self._over.is_set():
            try:
                close_old_connections()
                running = chores.start()
            except Exception as exc:
                log.warning("the chores could not be started, trying again: %s", exc, exc_info=not _is_database(exc))
                connection.close()
                self._over.wait(_LONGEST_BACKOFF_SECONDS)
            else:
                self._over.wait()
                running.shutdown(wait=False)
        connection.close()

    def _resign(self) -> None:
        try:
            self._leader.resign()
        except (DatabaseError, InterfaceError) as exc:
            log.warning("leadership could not be released in the database: %s", exc)


def _is_database(exc: Exception) -> bool:
    return isinstance(exc, DatabaseError | InterfaceError)
