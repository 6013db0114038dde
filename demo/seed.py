"""Sample data: five teams, sixty jobs, ninety even days of history with failing, flapping, slow and running jobs, a
business calendar, and a freeze over the turn of the year.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Role, User
from calendars.models import Calendar
from core.api.timestamps import utc_ms
from core.db.bulk import insert_new
from executions.models import Execution, Status, TriggerType
from executions.statistics import rollups
from executions.targets import WebhookTarget
from jobs import calendars
from jobs.models import Job, today
from jobs.services import add_jobs
from notifications.models import FailureState
from taxonomy.models import Category, PicTeam
from windows.models import Window
from windows.services import pause

TEAMS = {
    "QA Team": "@qa-team",
    "Platform": "@platform",
    "Payments": "@payments",
    "Search": "@search",
    "Data Platform": "@data",
}
SUBJECTS = [
    "Checkout regression", "Refund reconciliation", "Search index refresh", "Canary of the login",
    "Price feed import", "Nightly end-to-end",
    "Inventory sync", "Coupon expiry", "Mail queue check", "Backup verification", "Certificate check", "Invoice export",
]  # fmt: skip
SCHEDULES = [
    "*/2 * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 */2 * * *", "0 9 * * 1-5", "0 9 * * 1-5",
    "0 2 * * *", "0 2 * * *", "15 3 * * *",
    "0 6,18 * * *", "45 22 * * *", "0 12 * * 1", "0 0 1 * *",
]  # fmt: skip
# The closed days of the turn of the year, and the jobs that follow the calendar, by subject: expression and rule.
CLOSED = ("12-29", "12-30", "12-31", "01-02", "01-03")
FOLLOWING = {
    "Invoice export": ("0 18 LB * *", "run"),
    "Refund reconciliation": ("0 9 25 * *", "previous_open"),
    "Canary of the login": ("0 9 * * 1-5", "skip"),
}
# Only the first job of each of these is so frequent: ninety days of more would be a million rows.
_FREQUENT = 3
# Jobs, by number: failing without a break for some days; failing every third time; under way most of the time.
FAILING, FLAPPING, LONG = {4, 17}, {31, 38}, 20
PAUSED = 28
_COLUMNS = (
    "id", "job", "status", "trigger_type", "scheduled_for", "started_at", "completed_at", "duration_seconds",
    "execution_type", "target",
    "response_status", "error_message", "output", "attempts",
)  # fmt: skip


@transaction.atomic
def seed(echo_url: str, *, count: int = 60, days: int = 90) -> int:
    """Create the sample data, the same each time, with a history of `days`; returns the number of executions."""
    chance = random.Random(7)
    teams = [
        PicTeam.objects.create(name=name, slug=name.lower().replace(" ", "-"), slack_handle=handle)
        for name, handle in TEAMS.items()
    ]
    owner = User.objects.create_user("demo-user", "demo-user@example.com", role=Role.USER)
    categories = list(Category.objects.order_by("slug"))
    office = _office()
    admin = User.objects.active_admins().first()
    jobs = [_job(number, chance, echo_url, teams, categories, office) for number in range(count)]
    for number, job in enumerate(jobs):
        job.created_by = owner if number % 3 or admin is None else admin
    add_jobs(jobs, by=owner)
    if count > PAUSED:
        pause([jobs[PAUSED]], timezone.now() + dt.timedelta(days=3), "Waits for the new price list.", by=owner)
    rows = [row for number, job in enumerate(jobs) for row in _history(job, number, chance, days)]
    for start in range(0, len(rows), 2000):
        insert_new(Execution, _COLUMNS, rows[start : start + 2000])
    for _hour in rollups.rebuild():
        continue
    for job in jobs:
        last = max((row for row in rows if row[1] == job.pk), key=lambda row: row[5], default=None)
        if last is not None:
            Job.objects.filter(pk=job.pk).update(last_status=last[2], last_execution_at=last[5])
    failing = Job.objects.filter(last_status=Status.FAILED).in_bulk()
    FailureState.objects.bulk_create(_failing(job, rows) for job in jobs if job.pk in failing)
    return len(rows)


def _office() -> Calendar:
    """A calendar with the turn of the year closed, and the freeze over it."""
    year = today().year
    days = [{"date": f"{one + (day < '06')}-{day}", "label": "年末年始"} for one in (year - 1, year) for day in CLOSED]
    office = calendars.create({"name": "Tokyo office", "country": "JP", "days": days})
    start = dt.datetime(year, 12, 28, 18, tzinfo=settings.SCHEDULER_ZONE)
    Window.objects.create(
        name="年末凍結", reason="Nothing changes over the turn of the year.", is_for_all=True, starts_at=start,
        ends_at=start + dt.timedelta(days=6, hours=14),
    )  # fmt: skip
    return office


def _job(
    number: int,
    chance: random.Random,
    echo_url: str,
    teams: list[PicTeam],
    categories: list[Any],
    office: Calendar,
) -> Job:
    subject, place = (
        SUBJECTS[number % len(SUBJECTS)],
        ["staging", "production", "pre-release", "JP", "EU"][number // len(SUBJECTS) % 5],
    )
    manner = ["ok", "ok", "ok", "slow", "flaky"][number % 5]
    if number in FAILING:
        manner = "down"
    elif number in FLAPPING:
        manner = "half"
    elif number == LONG:
        manner = "long"
    schedules = SCHEDULES if number < len(SCHEDULES) else SCHEDULES[_FREQUENT:]
    expression = "*/5 * * * *" if number == LONG else schedules[number % len(schedules)]
    if number in FLAPPING:
        # Often enough that twenty runs are a day.
        expression = "10 * * * *"
    followed = subject in FOLLOWING and number >= len(SCHEDULES) and number not in FAILING | FLAPPING | {LONG}
    rule = "run"
    if followed:
        expression, rule = FOLLOWING[subject]
    return Job(
        name=f"{subject} ({place})",
        cron_expression=expression,
        calendar=office if followed else None,
        on_closed_day=rule,
        target_url=f"{echo_url}/{manner}?job={number}",
        metadata={
            "suite": subject.split(" ", maxsplit=1)[0].lower(),
            "environment": place,
            "api_key": "not-a-real-key",
        },
        category=categories[number % len(categories)],
        pic_team=teams[number % len(teams)],
        end_date=today() + dt.timedelta(days=[400, 200, 90, 25, 6][number % 5] + number),
        max_attempts=3 if manner == "flaky" else 1,
        retry_backoff_seconds=5,
        timeout_seconds=290 if manner == "long" else 10,
        is_active=number % 11 != 10 or number in FAILING | FLAPPING,
    )


def _history(job: Job, number: int, chance: random.Random, days: int) -> Iterator[tuple[Any, ...]]:
    now = timezone.now()
    bad_from = now - dt.timedelta(days=1 + 2 * (number % 3)) if number in FAILING | FLAPPING else None
    moments = list(job.schedule.between(now - dt.timedelta(days=days), now - dt.timedelta(minutes=1)))
    for place, moment in enumerate(reversed(moments)):
        risk = 0.02
        if bad_from is not None and moment > bad_from:
            # The latest run of a flapping job succeeded: it would be called failing otherwise.
            risk = 1.0 if number in FAILING or place % 3 == 1 else 0.0
        yield _row(job, moment, chance, risk=risk)


def _failing(job: Job, rows: list[tuple[Any, ...]]) -> FailureState:
    """The failing period of a job that has failed without a break."""
    mine = sorted((row for row in rows if row[1] == job.pk), key=lambda row: row[5], reverse=True)
    failed = list(itertools.takewhile(lambda row: row[2] != Status.SUCCESS, mine))
    since = failed[-1][5] if failed else timezone.now()
    return FailureState(job=job, recent="F", since=since, failures=len(failed), alerted_at=since)


def _row(job: Job, moment: dt.datetime, chance: random.Random, *, risk: float) -> tuple[Any, ...]:
    fails = chance.random() < risk
    missed = not fails and chance.random() < 0.004
    slow = 20.0 if "slow" in job.target_url else 1000.0 if "long" in job.target_url else 1.0
    took = round(chance.lognormvariate(-1.5, 0.6) * slow, 3)
    began = moment + dt.timedelta(milliseconds=chance.randrange(5, 60))
    status = Status.MISSED if missed else Status.FAILED if fails else Status.SUCCESS
    code = None if missed else chance.choice([500, 502, 503]) if fails else 200
    error = "no scheduler was running" if missed else f"Webhook returned status {code}" if fails else ""
    attempts = [] if missed else [{"started_at": utc_ms(began), "status": code, "error": "", "duration_seconds": took}]
    output = "" if missed else '{"error": "upstream unavailable"}' if fails else '{"accepted": true, "queued": 12}'
    return (
        uuid7(), job.pk, status.value, TriggerType.SCHEDULED.value, moment, moment if missed else began,
        began + dt.timedelta(seconds=took),
        None if missed else took, WebhookTarget.kind, job.target_url, code, error, output, attempts,
    )  # fmt: skip
