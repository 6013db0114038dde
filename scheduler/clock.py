"""The clock: APScheduler with one entry for each distinct schedule in use. It only wakes the firing thread; the
database tells which jobs are due.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from jobs.schedules.schedule import Schedule


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]
    """An APScheduler trigger for a `Schedule`. After a pause it continues from now; missed fire times are found in
    the database.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def get_next_fire_time(self, previous_fire_time: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        return self.schedule.next(max(previous_fire_time or now, now))

    def __str__(self) -> str:
        return self.schedule.key


class FiringExecutor(BaseExecutor):  # type: ignore[misc]
    """An APScheduler executor that wakes the firing thread. APScheduler's thread pool and misfire policy are not used
    for jobs.
    """

    def __init__(self, due: threading.Event) -> None:
        super().__init__()
        self._due = due

    def submit_job(self, job: Any, run_times: list[dt.datetime]) -> None:
        self._due.set()

    def _do_submit_job(self, job: Any, run_times: list[dt.datetime]) -> None:
        self._due.set()


def wake() -> None:
    """The function that APScheduler stores for an entry. `FiringExecutor` never calls it."""


class Clock:
    """Sets the event `due` at the fire times of its schedules."""

    def __init__(self, due: threading.Event) -> None:
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()}, executors={"default": FiringExecutor(due)}, timezone=dt.UTC
        )
        self._held: dict[str, Schedule] = {}

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, schedules: Iterable[Schedule]) -> tuple[int, int]:
        """Make the entries equal `schedules`; returns how many were added and removed."""
        wanted = {schedule.key: schedule for schedule in schedules}
        added, removed = wanted.keys() - self._held.keys(), self._held.keys() - wanted.keys()
        if added or removed:
            # While paused, APScheduler does not search all entries at each addition.
            self._scheduler.pause()
            for key in removed:
                self._scheduler.remove_job(key)
            for key in added:
                self._scheduler.add_job(
                    wake, ScheduleTrigger(wanted[key]), id=key, coalesce=True, misfire_grace_time=None
                )
            self._scheduler.resume()
            self._held = wanted
        return len(added), len(removed)

    def add(self, schedules: Iterable[Schedule]) -> None:
        """Add schedules."""
        self.hold([*self._held.values(), *schedules])

    def admit_waiting(self) -> None:
        """Check the time now: a change of the system clock does not end a sleep."""
        self._scheduler.wakeup()
