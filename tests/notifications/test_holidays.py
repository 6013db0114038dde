"""Notices about national holidays: an update of the package `holidays` moves a day, and the certain days end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from calendars import business_days
from jobs import calendars
from jobs.models import Job
from notifications.models import Event
from notifications.routing import notify_holidays

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    with time_machine.travel("2026-11-26T03:00:00Z", tick=False):
        calendars.create({"name": "Tokyo", "country": "JP"})
        return make_job(name="Third of November", cron_expression="0 9 20 3 *", calendar="tokyo", on_closed_day="skip")


def test_a_day_that_moves_reschedules_the_jobs_and_is_told_once(job: Job, monkeypatch: Any) -> None:
    with time_machine.travel("2026-11-26T03:00:00Z", tick=False):
        assert notify_holidays() == 0
        # 2027-03-20 is a Saturday, and the equinox of 2028 is on the 20th.
        assert job.next_run_at is not None
        assert job.next_run_at.year > 2028
        real = calendars.national_holidays

        def updated(country: str, year: int) -> dict[dt.date, str]:
            days = dict(real(country, year))
            if year == 2028:
                days[dt.date(2028, 3, 21)] = days.pop(dt.date(2028, 3, 20))
            return days

        for module in (calendars, business_days):
            monkeypatch.setattr(module, "national_holidays", updated)
        assert notify_holidays() == 1
        assert notify_holidays() == 0
    event = Event.objects.get(title="National holidays have moved")
    assert "new: 2028-03-21; gone: 2028-03-20" in event.message
    assert "The next runs of 1 jobs have changed." in event.message
    job.refresh_from_db()
    assert job.next_run_at == dt.datetime(2028, 3, 20, 0, tzinfo=dt.UTC)
    assert job.calendar is not None
    assert job.calendar.version == 2


def test_a_new_year_is_no_move(job: Job) -> None:
    for year in (2026, 2027):
        with time_machine.travel(f"{year}-02-01T03:00:00Z", tick=False):
            assert notify_holidays() == 0
    assert job.calendar is not None
    job.calendar.refresh_from_db()
    assert job.calendar.version == 1


def test_the_end_of_the_certain_days_is_told_once_in_sixty_days(job: Job) -> None:
    for day, told in (("2027-10-31", 0), ("2027-11-01", 1), ("2027-11-03", 0), ("2027-12-30", 0)):
        with time_machine.travel(f"{day}T03:00:00Z", tick=False):
            assert notify_holidays() == told, day
    assert "until 2027-12-31 only" in Event.objects.get(title="National holidays end soon").message
