"""Every page, feed, explanation and firing itself agree on when a job runs: for 400 days, on random jobs."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.test import RequestFactory
from rest_framework.test import APIClient

from accounts.models import User
from calendars.models import Calendar, CalendarDay
from console import forecast
from console.pages import agenda, dashboard, feed, job_form
from console.pages import job as job_page
from console.pages.calendar import Filters
from core.api.errors import Invalid
from executions.models import Execution, Status
from jobs.models import Job
from scheduler.explain import explain
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.firing import NOON
from windows import services as windows
from windows.cover import Cover

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
DAY = dt.timedelta(days=1)
DAYS = 400
_EXPRESSIONS = (
    "0 9 * * *", "0 9 * * *", "5 0,12,23 * * *", "30 2 * * *", "0 0 * * 1-5", "45 23 * * 5", "0 18 L * *",
    "15 6,18 1,15 * *", "0 12 15W * *",
    "0 8 * * 1#2", "59 23 LB * *", "0 10 3B * *", "0 7 * * 0",
)  # fmt: skip
_ZONES = ("", "", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
_RULES = ("run", "skip", "next_open", "previous_open")


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def office() -> Calendar:
    office = Calendar.objects.create(name="Office", slug="office", country="JP")
    for day in ("2026-12-29", "2026-12-30", "2026-12-31", "2027-01-04"):
        CalendarDay.objects.create(calendar=office, date=day, is_open=False, label="closed")
    return office


def settings_of(chance: random.Random) -> dict[str, Any]:
    """The settings of a random job."""
    expression = chance.choice(_EXPRESSIONS)
    found: dict[str, Any] = {"cron_expression": expression, "time_zone": chance.choice(_ZONES)}
    if "B" in expression or chance.random() < 0.5:
        found |= {
            "calendar": "office",
            "on_closed_day": chance.choice(_RULES),
            "shift_limit_days": chance.choice([2, 10]),
            "keep_month": chance.random() < 0.5,
            "shift_open_days": chance.choice([0, 0, 2, -1]),
        }
    if chance.random() < 0.3:
        found |= {"every_nth": chance.choice([2, 3]), "counted_from": "2026-10-02"}
    end = NOON.date() + chance.choice([30, 200, 1000]) * DAY
    return {
        **found,
        "end_date": end.isoformat(),
        "start_date": (NOON.date() + chance.choice([0, 20]) * DAY).isoformat(),
    }


def open_windows(jobs: list[Job], chance: random.Random) -> None:
    """A freeze over all, a pause of some jobs, and a recurring window."""
    freeze = {"name": "Freeze", "is_for_all": True, "starts_at": NOON + 30 * DAY, "ends_at": NOON + 41 * DAY}
    windows.create(freeze, by=None)
    some = [str(job.pk) for job in chance.sample(jobs, len(jobs) // 3)]
    windows.create({"name": "Pause", "jobs": some, "starts_at": NOON + 3 * DAY, "ends_at": NOON + 20 * DAY}, by=None)
    nights = {"name": "Nights", "cron_expression": "0 1 * * 6", "minutes": 180, "ends_at": NOON + 300 * DAY}
    windows.create({**nights, "hosts": ["hooks.example.com"]}, by=None)


def truth(job: Job, cover: Cover) -> list[dt.datetime]:
    """The runs of 400 days, minute by minute of the days that have any: by asking the parts one by one."""
    first, last = job.start_date or NOON.date(), job.end_date
    found = []
    for moment in job.schedule.between(NOON, NOON + DAYS * DAY):
        day = moment.astimezone(job.zone).date()
        if first <= day <= last and moment != job.skipped_run_at and cover.inside(job, moment) is None:
            found.append(moment)
    return found


def forecast_runs(job: Job) -> list[dt.datetime]:
    """What the calendar counts."""
    forecast.kept.forget()
    groups = forecast.groups(Job.objects.filter(pk=job.pk), "is_active")
    found = []
    for number in range(DAYS + 1):
        day = NOON.date() + number * DAY
        begin, _end = forecast.bounds(day)
        for group in groups:
            found += [begin + dt.timedelta(minutes=minute) for minute in group.minutes_of(day)]
    return [one for one in found if NOON < one <= NOON + DAYS * DAY]


def _is_in_period(job: Job, moment: dt.datetime) -> bool:
    return job.is_in_period(moment) and moment <= NOON + DAYS * DAY


def form_of(job: Job) -> dict[str, str]:
    """The fields of the job's form that decide when it runs."""
    values = {name: str(getattr(job, name) or "") for name in ("time_zone", "on_closed_day", "counted_from")}
    values |= {name: str(getattr(job, name)) for name in ("shift_limit_days", "shift_open_days", "every_nth")}
    return {**values, "calendar": str(job.calendar_id or ""), "keep_month": "on" if job.keep_month else ""}


def form_preview(job: Job) -> list[dt.datetime]:
    """The runs of the form's preview."""
    request = RequestFactory().get("/", {"cron": job.cron_expression, "job": str(job.pk), **form_of(job)})
    told = json.loads(job_form.preview(request).content)
    local = [f"{row['time'][:10]} {row['time'].split()[2]}" for row in told["fires"] if row["runs"]]
    return [dt.datetime.fromisoformat(one).replace(tzinfo=job.zone).astimezone(dt.UTC) for one in local]


def api_preview(job: Job) -> list[str]:
    """The fire times of `POST /jobs/cron-preview`, which knows no job and so no windows."""
    body = {
        **form_of(job),
        "expression": job.cron_expression,
        "calendar": job.calendar and job.calendar.slug,
        "keep_month": job.keep_month,
        "shift_limit_days": job.shift_limit_days,
        "every_nth": job.every_nth,
        "shift_open_days": job.shift_open_days,
        "counted_from": job.counted_from and str(job.counted_from),
    }
    client = APIClient()
    client.force_authenticate(User.objects.get(username="ada"))
    answer = client.post("/api/v2/jobs/cron-preview", body, format="json")
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["next_runs"])


def _minute(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


@pytest.mark.parametrize("seed", range(4))
def test_they_agree(seed: int, make_job: Callable[..., Job], office: Calendar, admin: User) -> None:
    chance = random.Random(seed)
    jobs = []
    while len(jobs) < 12:
        try:
            jobs.append(
                make_job(name=f"job {len(jobs)}", target_url="https://hooks.example.com/x", **settings_of(chance))
            )
        except Invalid:
            continue
    open_windows(jobs, chance)
    skipping = jobs[0]
    Job.objects.filter(pk=skipping.pk).update(skipped_run_at=skipping.next_run_at)
    skipping.refresh_from_db()
    cover = Cover.now()
    expected = {job: truth(job, cover) for job in Job.objects.select_related("calendar")}
    assert sum(map(len, expected.values())) > 100
    compared = 0
    for job, runs in expected.items():
        assert forecast_runs(job) == runs, job
        ahead = NOON + feed.AHEAD
        assert [one.moment for one in feed._runs(feed.Fed("", Job.objects.filter(pk=job.pk), False))] == [
            one for one in runs if one <= ahead
        ], job
        shown = [row["time"][:10] for row in job_page.context(job, admin)["upcoming"] if row["runs"]]
        assert shown == [f"{one.astimezone(job.zone):%Y-%m-%d}" for one in runs[: len(shown)]]
        previewed = [one for one in form_preview(job) if _is_in_period(job, one)]
        assert previewed == runs[: len(previewed)], job
        compared += len(previewed)
        assert [_minute(one) for one in api_preview(job)] == list(job.schedule.upcoming(5, NOON)), job
        stored = job.fire_after(NOON)
        assert job.next_run_at == stored, job
        for moment in chance.sample(runs, min(5, len(runs))):
            assert explain(job, moment).answer == "will_run", (job, moment)
    assert compared > 20
    # The next run on the dashboard is the first stored one that nothing keeps from running.
    stored_next = min(job.next_run_at for job, runs in expected.items() if job.next_run_at in runs)
    shown_next = dashboard.dashboard(admin)["next"]
    assert shown_next is not None
    assert shown_next.next_run_at == stored_next
    days = chance.sample(range(1, DAYS), 12)
    for number in days:
        day = NOON.date() + number * DAY
        begin, end = forecast.bounds(day)
        due = sorted((moment, job.name) for job, runs in expected.items() for moment in runs if begin <= moment < end)
        minutes: defaultdict[int, agenda._Minute] = defaultdict(agenda._Minute)
        agenda._add_due(minutes, day, Filters(), forecast.groups(Job.objects.all(), "is_active"))
        names: defaultdict[int, set[str]] = defaultdict(set)
        for moment, name in due:
            names[int((moment - begin).total_seconds() // 60)].add(name)
        assert {minute: one.due for minute, one in minutes.items()} == {one: len(names[one]) for one in names}, day
        assert {minute: set(one.jobs.values()) for minute, one in minutes.items()} == names, day
        moments = sorted({moment for moment, _ in due})
        assert forecast.together(Job.objects.all(), moments) == [
            sum(moment == one for one, _ in due) for moment in moments
        ]


def test_firing_runs_what_they_say(make_job: Callable[..., Job], office: Calendar) -> None:
    chance = random.Random(7)
    jobs = [
        make_job(name=f"job {n}", target_url="https://hooks.example.com/x", **settings_of(chance)) for n in range(8)
    ]
    open_windows(jobs, chance)
    cover = Cover.now()
    until = NOON + 60 * DAY
    expected = {
        (job.pk, moment)
        for job in Job.objects.select_related("calendar")
        for moment in truth(job, cover)
        if moment <= until
    }
    times = sorted({one for job in jobs for one in job.schedule.between(NOON, until)})
    leader = Leader()
    leader.take_over()
    for moment in times:
        with time_machine.travel(moment, tick=False):
            fire(leader)
            Execution.objects.filter(status=Status.RUNNING).update(status=Status.SUCCESS)
    ran = Execution.objects.filter(status=Status.SUCCESS).values_list("job", "scheduled_for")
    assert set(ran) == expected
