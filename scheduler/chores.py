"""Chores: Cronsched's own periodic jobs. They and their runs have rows of django-apscheduler, which admins see. Only
the leader runs them.
"""

from __future__ import annotations

import datetime as dt
import logging

from apscheduler.schedulers.background import BackgroundScheduler
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from django_apscheduler import util
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from accounts.auth import login_throttle
from accounts.models import ApiToken, LoginSession, WebSession
from audit import retention as audit_retention
from executions import retention
from executions.delivery.shared_limits import delete_unused
from executions.models import Worker
from executions.statistics import rollups
from jobs import signed_links
from jobs.schedules.schedule import schedule_of
from jobs.services import pause_expired
from moving import double_runs
from notifications import retention as notifications_retention
from notifications.reports import send_daily, send_weekly
from notifications.routing import (
    notify_credential_problems,
    notify_double_runs,
    notify_holidays,
    remind_of_ending_jobs,
    remind_of_failing_jobs,
)
from scheduler.chore_store import ChoreStore
from scheduler.clock import ScheduleTrigger
from scheduler.models import Resync

log = logging.getLogger("cronsched.chores")
_KEPT = dt.timedelta(days=7)
_RETRY_SECONDS = 5.0


def pause_ended_jobs() -> None:
    """Disable the jobs whose end date was yesterday."""
    paused = pause_expired()
    if paused:
        log.info("disabled %d jobs whose end date has passed", len(paused))


def tidy() -> None:
    """Delete expired rows: logins, used links, answered resyncs, dead workers, old runs of chores."""
    now = timezone.now()
    LoginSession.objects.filter(expires_at__lte=now).delete()
    WebSession.objects.filter(expire_date__lte=now).delete()
    ApiToken.objects.filter(expires_at__lte=now - _KEPT).delete()
    notifications_retention.delete_old()
    audit_retention.delete_old()
    signed_links.delete_old()
    login_throttle.delete_old()
    delete_unused()
    Resync.objects.filter(requested_at__lt=now - _KEPT).delete()
    Worker.objects.filter(heartbeat_at__lt=now - _KEPT).delete()
    DjangoJobExecution.objects.delete_old_job_executions(int(_KEPT.total_seconds()))


def keep_history() -> None:
    """Delete executions that are past retention; build missing rollups, as after an update from a version without
    them.
    """
    if rollups.is_lacking():
        for _hour in rollups.rebuild():
            continue
    rollups.fold()
    log.info("retention deleted %d executions", retention.prune())


def delete_histories() -> None:
    """Delete the history of deleted jobs."""
    deleted = retention.delete_long_histories()
    if deleted:
        log.info("deleted the history of %d deleted jobs", deleted)


def remind() -> None:
    """Notify about jobs that end within 30 days."""
    log.info("sent reminders about %d jobs that end soon", remind_of_ending_jobs())


def check_credentials() -> None:
    """Notify about GitHub credentials that are refused or expire soon."""
    notify_credential_problems()


def look_for_double_runs() -> None:
    """Notify once a day about jobs whose workflow still has a schedule of its own."""
    notify_double_runs(double_runs.find())


def check_holidays() -> None:
    """Follow updates of the national holidays; notify about moved days, and before the certain ones end."""
    notify_holidays()


def remind_of_failing() -> None:
    """Notify once a day about jobs that keep failing."""
    remind_of_failing_jobs()


def report_daily() -> None:
    """Queue the digests of the last day."""
    send_daily()


def report_weekly() -> None:
    """Queue the reports of the last week."""
    send_weekly()


JOBS = {
    "daily digest": (report_daily, "0 8 * * *"),
    "weekly report": (report_weekly, "0 8 * * 1"),
    "remind of failing jobs": (remind_of_failing, "*/10 * * * *"),
    "look at credentials": (check_credentials, "*/5 * * * *"),
    "look for double runs": (look_for_double_runs, "20 8 * * *"),
    "look at holidays": (check_holidays, "15 * * * *"),
    "pause ended jobs": (pause_ended_jobs, "0 0 * * *"),
    "remind of ending jobs": (remind, "0 9 * * 1"),
    "tidy": (tidy, "30 3 * * *"),
    "keep the history": (keep_history, "40 * * * *"),
    "delete the history of deleted jobs": (delete_histories, "* * * * *"),
}


class Chores(BackgroundScheduler):  # type: ignore[misc]  # apscheduler has no types
    """Runs the chores. What should have run while no scheduler led, or while the database was away, runs once
    afterwards.
    """

    def __init__(self) -> None:
        super().__init__(timezone=settings.SCHEDULER_ZONE)
        self.add_jobstore(ChoreStore(), "default")
        DjangoJob.objects.exclude(pk__in=JOBS).delete()
        due = dict(DjangoJob.objects.values_list("pk", "next_run_time"))
        for name, (work, expression) in JOBS.items():
            trigger = ScheduleTrigger(schedule_of(expression))
            # Stored by the leader before. A new one would start now and skip what that one has missed.
            stored = {"next_run_time": due[name]} if due.get(name) else {}
            self.add_job(
                # Each runs in a thread whose connection may be broken by now.
                util.close_old_connections(work),
                trigger,
                id=name,
                name=name,
                replace_existing=True,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                **stored,
            )

    def _main_loop(self) -> None:
        try:
            super()._main_loop()
        finally:
            # The connection of APScheduler's thread, which ends with the leader's term.
            connection.close()

    def _process_jobs(self) -> float | None:
        """APScheduler's thread ends, silently, at an error of the database here; this one goes on."""
        try:
            wait: float | None = super()._process_jobs()
            return wait
        except Exception as exc:
            foreseen = isinstance(exc, DatabaseError | InterfaceError)
            log.warning("the chores could not be read, trying again: %s", exc, exc_info=not foreseen)
            connection.close()
            return _RETRY_SECONDS


def start() -> Chores:
    """Start the chores. The caller shuts the scheduler down. Raises `DatabaseError`."""
    chores = Chores()
    chores.start()
    return chores
