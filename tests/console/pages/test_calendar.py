"""The calendar: past fires by their outcome, coming ones as expected, frequent jobs as bands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from console import forecast
from console.pages import calendar, calendar_day, calendar_week
from console.pages.calendar import Filters
from executions.models import Status
from jobs.models import Job
from jobs.schedules.schedule import schedule_of
from tests.support.executions import ran
from windows import services

JST = ZoneInfo("Asia/Tokyo")
NOON = dt.datetime(2026, 11, 24, 12, 30, tzinfo=JST)
TODAY = NOON.date()


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_a_day(make_job: Callable[..., Job]) -> None:
    daily = make_job(name="daily", cron_expression="0 9,18 * * *")
    make_job(name="minutely", cron_expression="* * * * *")
    ran(daily, Status.FAILED, ago=3.5 * 3600, took=600)
    shown = calendar_day.day(TODAY, Filters())
    band, track = shown["tracks"]
    assert (band.is_band, len(band.marks)) == (True, 12)
    assert {mark.kind for mark in band.marks} == {"expected"}
    assert [(mark.x, mark.kind) for mark in track.marks] == [(9 * 60, "failed"), (18 * 60, "expected")]
    assert track.marks[0].width == 10
    assert shown["now"] == 12 * 60 + 30


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_neighbours_are_one_cluster_that_leads_to_its_jobs(browser: Client, make_job: Callable[..., Job]) -> None:
    for number in range(4):
        job = make_job(name=f"job {number}", cron_expression=f"{number} 9 * * *")
        ran(job, Status.SUCCESS if number else Status.FAILED, ago=3.5 * 3600 - number * 60)
    (mark,) = [
        mark for track in calendar_day.day(TODAY, Filters())["tracks"] for mark in track.marks if track.label == "job 0"
    ]
    assert mark.fires == 1
    for number in range(calendar_day.TRACKS):
        make_job(name=f"other {number}")
    (track,) = calendar_day.day(TODAY, Filters())["tracks"][-1:]
    (cluster,) = [mark for mark in track.marks if mark.kind == "failed"]
    assert cluster.fires == 4
    assert len(browser.get(reverse("admin:calendar") + cluster.url).context["panel"]["rows"]) == 4


def test_a_page_holds_about_a_thousand_marks() -> None:
    every_minute = [(minute, "success", 1, 1.0) for minute in range(24 * 60)]
    widths = [
        calendar.fewest_minutes(calendar_day._CLUSTER_MINUTES, [range(24 * 60)] * lanes, calendar_day._MOST_MARKS)
        for lanes in (1, 6, 7, 13, 14, 20, 21, 100)
    ]
    assert widths == [10, 10, 20, 20, 30, 30, 60, 60]
    assert len(list(calendar_day._clusters(every_minute, 30))) == 48


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_a_week(make_job: Callable[..., Job]) -> None:
    daily = make_job(name="daily", cron_expression="0 9 * * *")
    minutely = make_job(name="minutely", cron_expression="* * * * *")
    ran(daily, Status.FAILED, ago=3.5 * 3600)
    ran(minutely, Status.SUCCESS, ago=3.5 * 3600)
    ran(minutely, Status.FAILED, ago=4.5 * 3600)
    shown = calendar_week.week(TODAY, Filters())
    assert shown["days"][0]["date"] == dt.date(2026, 11, 23)
    nine = shown["rows"][9]["cells"]
    assert (nine[1]["ran"], nine[1]["failed"], nine[1]["worst"]) == (1, 1, "failed")
    assert [cell["expected"] for cell in nine] == [0, 0, 1, 1, 1, 1, 1]
    assert shown["rows"][8]["cells"][1]["ran"] == 0
    assert calendar_week.week(TODAY, Filters(team="qa-team"))["rows"][9]["cells"][1]["ran"] == 1
    assert calendar_week.week(TODAY, Filters(team="other"))["rows"][9]["cells"][1]["ran"] == 0
    assert (shown["frequent"], shown["frequent_fires"]) == (1, 1440)


@pytest.mark.django_db
def test_filters_and_odd_parameters(browser: Client, make_job: Callable[..., Job]) -> None:
    make_job(name="here", cron_expression="0 9 * * *")
    page = reverse("admin:calendar")
    for query in ({}, {"date": "nonsense"}, {"view": "week"}, {"team": "qa-team"}, {"team": "none", "category": "x"}):
        assert browser.get(page, query).status_code == 200, query
    assert b">here<" in browser.get(page, {"team": "qa-team", "date": "2027-01-05"}).content
    assert b">here<" not in browser.get(page, {"team": "other", "date": "2027-01-05"}).content


@given(
    st.sampled_from(["* * * * *", "*/7 3-9 * * *", "0 9 * * 1-5", "5 4 1,15 * *", "30 2 * * *", "0 0 29 2 *",
    "15 1 1 * 1"]),
    st.dates(dt.date(2024, 1, 1), dt.date(2028, 12, 31)),
    st.sampled_from(["Asia/Tokyo", "Europe/Berlin", "America/New_York"]),
)  # fmt: skip
def test_the_minutes_of_a_day_are_the_fire_times_of_that_day(expression: str, day: dt.date, zone: str) -> None:
    schedule = schedule_of(expression, ZoneInfo(zone))
    midnight = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    following = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), ZoneInfo(zone))
    moments = schedule.between(midnight - dt.timedelta(microseconds=1), following - dt.timedelta(minutes=1))
    expected = [local.hour * 60 + local.minute for local in (one.astimezone(ZoneInfo(zone)) for one in moments)]
    assert schedule.minutes_of(day) == expected


@pytest.mark.django_db
def test_how_many_fire_together(make_job: Callable[..., Job]) -> None:
    make_job(name="one", cron_expression="0 9 * * *")
    make_job(name="two", cron_expression="0 9 * * 1")
    make_job(name="ended", cron_expression="0 9 * * *", end_date="2027-01-01")
    make_job(name="paused", cron_expression="0 9 * * *", is_active=False)
    monday, tuesday = dt.datetime(2027, 1, 4, 9, tzinfo=JST), dt.datetime(2027, 1, 5, 9, tzinfo=JST)
    assert forecast.together(Job.objects.all(), [monday, tuesday, monday + dt.timedelta(minutes=1)]) == [2, 1, 0]


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_the_coming_minutes(make_job: Callable[..., Job]) -> None:
    make_job(name="one", cron_expression="31 12 * * *")
    make_job(name="two", cron_expression="31,40 * * * *")
    found: Any = forecast.next_minutes(forecast.groups(Job.objects.all(), "is_active"), 15)
    assert [(moment.minute, count) for moment, count in found if count] == [(31, 2), (40, 1)]


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Tokyo"])
def test_an_execution_is_in_the_hour_of_the_zones_clock(zone: str, make_job: Callable[..., Job], settings: Any) -> None:
    settings.SCHEDULER_ZONE = ZoneInfo(zone)
    with time_machine.travel(dt.datetime(2026, 11, 24, 12, 30, tzinfo=ZoneInfo(zone)), tick=False):
        job = make_job(name="daily", cron_expression="15 9 * * *")
        # 09:15 and 08:45 on the zone's clock: one UTC hour in India, two in Japan.
        for ago in (3.25, 3.75):
            ran(job, Status.SUCCESS, ago=ago * 3600)
        rows = calendar_week.week(dt.date(2026, 11, 24), Filters())["rows"]
    assert [(row["hour"], row["cells"][1]["ran"]) for row in rows if row["cells"][1]["ran"]] == [(8, 1), (9, 1)]


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_windows_of_a_day(admin: User) -> None:
    def marks(day: dt.date) -> dict[str, list[tuple[int, float]]]:
        tracks = calendar_day.day(day, Filters())["tracks"]
        return {track.label: [(mark.x, mark.width) for mark in track.marks] for track in tracks}

    freeze = {"name": "Freeze", "is_for_all": True, "starts_at": "2026-11-24T22:00+09:00"}
    services.create({**freeze, "ends_at": "2026-11-26T06:30+09:00"}, by=admin)
    weekly = {"name": "Nightly", "hosts": ["a.example.com"], "cron_expression": "30 23 * * *", "minutes": 60}
    services.create(weekly, by=admin)
    # It began at 12:30, so the night before is not in it.
    assert marks(TODAY) == {"Freeze": [(22 * 60, 120)], "Nightly": [(23 * 60 + 30, 30)]}
    day = dt.timedelta(days=1)
    assert marks(TODAY + day) == {"Freeze": [(0, 24 * 60)], "Nightly": [(0, 30), (23 * 60 + 30, 30)]}
    assert marks(TODAY + 2 * day)["Freeze"] == [(0, 6 * 60 + 30)]
    assert marks(TODAY - day) == {}
