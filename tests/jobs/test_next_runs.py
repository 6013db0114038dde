"""After an update of the time zone data, stored fire times follow the new rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import User
from calendars.models import Calendar
from jobs.models import Job
from jobs.next_runs import correct_next_runs
from jobs.services import skip_next_run, update_job
from notifications.models import Event
from notifications.routing import notify_zones
from tests.support.firing import NOON

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def jobs(make_job: Callable[..., Job]) -> list[Job]:
    Calendar.objects.create(name="Office", slug="office", country="JP")
    with time_machine.travel(NOON, tick=False):
        return [
            make_job(name=f"job {number}", **fields)
            for number, fields in enumerate(
                [
                    {"time_zone": "Europe/Berlin", "cron_expression": "0 9 * * *"},
                    {"time_zone": "Europe/Berlin", "cron_expression": "0 9 * * *"},
                    {"cron_expression": "0 9 * * *"},
                    {"cron_expression": "0 18 LB * *", "calendar": "office", "on_closed_day": "skip"},
                    {"cron_expression": "@manually"},
                    {"cron_expression": "0 9 1 1 *", "start_date": "2027-06-01", "end_date": "2027-07-01"},
                    {"cron_expression": "* * * * *", "is_active": False},
                ]
            )
        ]


def stored() -> list[dt.datetime | None]:
    return list(Job.objects.order_by("name").values_list("next_run_at", flat=True))


def test_what_follows_the_rules_stays(jobs: list[Job], admin: User) -> None:
    with time_machine.travel(NOON + 2 * HOUR, tick=False):
        skip_next_run(jobs[2], by=admin)
        update_job(jobs[0].pk, {"cron_expression": "30 9 * * *"}, by=admin)
        before = stored()
        assert correct_next_runs() == 0
    assert stored() == before


def test_other_times_are_corrected_and_the_admins_are_told(jobs: list[Job]) -> None:
    right = stored()
    # As if summer time had been stored for a winter that has none any more.
    Job.objects.filter(name__in=["job 0", "job 1", "job 3"]).update(next_run_at=NOON + 3 * HOUR)
    with time_machine.travel(NOON, tick=False):
        assert notify_zones() == 3
        assert notify_zones() == 0
    assert stored() == right
    message = Event.objects.get(title="Next runs have moved").message
    assert message == "The time zone data has changed: the next runs of 3 jobs have moved."


def test_what_is_due_stays_due(jobs: list[Job], django_assert_num_queries: Any) -> None:
    Job.objects.filter(name="job 0").update(next_run_at=NOON - HOUR)
    with time_machine.travel(NOON, tick=False), django_assert_num_queries(1):
        assert correct_next_runs() == 0
    assert stored()[0] == NOON - HOUR
