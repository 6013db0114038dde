"""Calls that will wait for the limit of their host are announced by calendar and dashboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client

from console.pages import host_forecast
from executions.models import Total
from jobs.models import Job

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 11, 24)
BEFORE_NINE = dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.UTC)  # 08:30 JST


@pytest.fixture(autouse=True)
def _two_at_once(settings: Any) -> None:
    settings.ENGINE_CONCURRENCY_PER_HOST = 2


@pytest.fixture
def jobs(make_job: Callable[..., Job]) -> list[Job]:
    """Five calls of one host at 09:00, in several spellings; two of another port, and one at another time."""
    urls = [
        "https://hooks.example.com/a", "https://hooks.example.com", "https://hooks.example.com:443/b?c=d",
        "https://user:pw@hooks.example.com/x", "https://HOOKS.example.com/y",
        "https://hooks.example.com:8443/z", "https://hooks.example.com:8443/q",
    ]  # fmt: skip
    with time_machine.travel(BEFORE_NINE, tick=False):
        made = [
            make_job(name=f"job {number}", target_url=url, cron_expression="0 9 * * *")
            for number, url in enumerate(urls)
        ]
        return [*made, make_job(name="later", target_url=urls[0], cron_expression="1 9 * * *")]


@pytest.mark.usefixtures("jobs")
def test_the_minute_the_host_and_the_limit_are_named() -> None:
    with time_machine.travel(BEFORE_NINE, tick=False):
        assert host_forecast.crowds(DAY) == ["5 calls of hooks.example.com at 09:00, of which 2 are made at once"]
        assert host_forecast.coming_crowds(60) == host_forecast.crowds(DAY)
        assert host_forecast.coming_crowds(20) == []


@pytest.mark.usefixtures("jobs")
def test_how_long_the_last_waits_follows_from_what_calls_take() -> None:
    hour = BEFORE_NINE.replace(minute=0)
    Total.objects.create(hour=hour, kind="webhook", shard=0, success=4, success_seconds=6.0, seconds=6.0)
    with time_machine.travel(BEFORE_NINE, tick=False):
        [told] = host_forecast.crowds(DAY)
    # Three turns of at most two calls; the last begins after two of them.
    assert told.endswith("; the last begins about 3.0 s later")


@pytest.mark.usefixtures("jobs")
def test_nothing_is_said_where_nothing_waits(settings: Any) -> None:
    settings.ENGINE_CONCURRENCY_PER_HOST = 5
    assert host_forecast.crowds(DAY) == []


def test_many_jobs_that_never_run_together_wait_for_nothing(make_job: Callable[..., Job], browser: Client) -> None:
    with time_machine.travel(BEFORE_NINE, tick=False):
        for minute in range(5):
            make_job(
                name=f"job {minute}", target_url="https://hooks.example.com/a", cron_expression=f"{minute} 9 * * *"
            )
        assert host_forecast.crowds(DAY) == []
        assert browser.get("/admin/").context["board"]["waits"] == []


def test_calendar_and_dashboard_say_so(jobs: list[Job], browser: Client) -> None:
    with time_machine.travel(BEFORE_NINE, tick=False):
        for page in (f"/admin/calendar/?view=day&date={DAY}", "/admin/"):
            shown = browser.get(page).content.decode()
            assert "5 calls of hooks.example.com at 09:00" in shown
            assert "pw@" not in shown


def test_the_number_of_queries_does_not_grow_with_the_crowded_minutes(
    make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    def crowd(hour: int) -> None:
        for number in range(3):
            name, url = f"job {number} at {hour}", "https://hooks.example.com/a"
            make_job(name=name, target_url=url, cron_expression=f"0 {hour} * * *")

    with time_machine.travel(BEFORE_NINE, tick=False):
        crowd(9)
        # Counted and kept: from now on only whether jobs were edited, and how long calls take.
        assert len(host_forecast.crowds(DAY)) == 1
        with django_assert_num_queries(2):
            host_forecast.crowds(DAY)
        crowd(10)
        assert len(host_forecast.crowds(DAY)) == 2
        with django_assert_num_queries(2):
            host_forecast.crowds(DAY)
