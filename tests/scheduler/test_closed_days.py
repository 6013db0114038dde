"""Firing with a calendar: moved fire times, and the record of what closed days skip."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine

from calendars.models import Calendar, CalendarDay
from executions.models import Execution, Status
from jobs.calendars import update
from jobs.models import Job
from scheduler.closed_days import ClosedDays
from scheduler.explain import explain
from scheduler.leadership import Leader
from tests.support.firing import MakeJob, fire_at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
JST = dt.timezone(dt.timedelta(hours=9))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=JST)


@pytest.fixture
def office() -> Calendar:
    with time_machine.travel(at("2026-11-01"), tick=False):
        calendar = Calendar.objects.create(name="Office", slug="office", country="JP")
        CalendarDay.objects.create(calendar=calendar, date=dt.date(2026, 12, 1), label="創立記念日")
    return calendar


def job_of(make_job: MakeJob, made_at: str = "2026-11-20T12:00", **changes: Any) -> Job:
    with time_machine.travel(at(made_at), tick=False):
        return make_job(**changes)


def looked(closed: ClosedDays, text: str) -> None:
    with time_machine.travel(at(text), tick=False):
        closed.record()


def closed_days(leader: Leader, text: str) -> ClosedDays:
    with time_machine.travel(at(text), tick=False):
        return ClosedDays(leader)


def test_a_moved_fire_time_fires_once_and_keeps_its_nominal_time(
    make_job: MakeJob, leader: Leader, office: Calendar
) -> None:
    job = job_of(make_job, cron_expression="0 9 * * *", calendar="office", on_closed_day="next_open")
    assert job.next_run_at == at("2026-11-24T09:00")
    fire_at(leader, at("2026-11-24T09:00"))
    fire_at(leader, at("2026-11-24T09:00:01"))
    execution = Execution.objects.get()
    # 11-21 to 11-23 are closed: four nominal times are one fire time. It is the nominal time of its own day.
    assert (execution.scheduled_for, execution.nominal_for) == (at("2026-11-24T09:00"), None)
    job.refresh_from_db()
    assert job.next_run_at == at("2026-11-25T09:00")


def test_the_row_of_a_moved_time_tells_what_it_was(make_job: MakeJob, leader: Leader, office: Calendar) -> None:
    job_of(make_job, cron_expression="0 9 23 * *", calendar="office", on_closed_day="previous_open",
           made_at="2026-11-10T12:00")  # fmt: skip
    fire_at(leader, at("2026-11-20T09:00"))
    assert Execution.objects.get().nominal_for == at("2026-11-23T09:00")


def test_what_closed_days_skip_is_recorded_once(make_job: MakeJob, leader: Leader, office: Calendar) -> None:
    job = job_of(make_job, cron_expression="0 9,18 * * *", calendar="office", on_closed_day="skip")
    plain = job_of(make_job, name="Plain", cron_expression="0 9,18 * * *")
    closed = closed_days(leader, "2026-11-21T08:00")
    looked(closed, "2026-11-21T08:59")
    assert not Execution.objects.exists()
    looked(closed, "2026-11-21T09:00")
    looked(closed, "2026-11-21T09:05")
    looked(closed, "2026-11-23T18:00")
    # Another leader looks back over a day.
    looked(closed_days(leader, "2026-11-23T18:01"), "2026-11-23T18:02")
    rows = Execution.objects.order_by("scheduled_for")
    assert [row.scheduled_for.astimezone(JST).strftime("%d %H") for row in rows if row.scheduled_for] == [
        "21 09", "21 18", "22 09", "22 18", "23 09", "23 18"]  # fmt: skip
    assert {row.job_id for row in rows} == {job.pk}
    assert {row.status for row in rows} == {Status.SKIPPED}
    assert rows[0].error_message == "skipped: closed day weekend (calendar Office)"
    assert rows[5].error_message == "skipped: closed day 勤労感謝の日 (calendar Office)"
    assert plain.executions.count() == 0


def test_nothing_is_recorded_from_before_an_edit(make_job: MakeJob, leader: Leader, office: Calendar) -> None:
    closed = closed_days(leader, "2026-11-21T08:00")
    job_of(
        make_job, made_at="2026-11-21T12:00", cron_expression="0 9,18 * * *", calendar="office", on_closed_day="skip"
    )
    looked(closed, "2026-11-21T18:00")
    assert [row.scheduled_for for row in Execution.objects.all()] == [at("2026-11-21T18:00")]


def test_an_edit_of_the_calendar_in_the_second_of_a_fire_time_fires_once(
    make_job: MakeJob, leader: Leader, office: Calendar
) -> None:
    job_of(make_job, cron_expression="0 9 * * *", calendar="office", on_closed_day="skip")
    with time_machine.travel(at("2026-11-24T09:00:00.500"), tick=False):
        update("office", {"days": "2026-11-24 closed"})
    # It was due before the edit.
    fire_at(leader, at("2026-11-24T09:00:00.600"))
    fire_at(leader, at("2026-11-24T09:00:00.700"))
    assert Execution.objects.get().status == Status.RUNNING
    with time_machine.travel(at("2026-11-24T12:00"), tick=False):
        update("office", {"days": "2026-11-25 closed"})
    fire_at(leader, at("2026-11-25T09:00"))
    fire_at(leader, at("2026-11-26T09:00"))
    assert Execution.objects.filter(scheduled_for=at("2026-11-26T09:00")).count() == 1
    assert Execution.objects.count() == 2


@pytest.mark.parametrize(
    ("rule", "moment", "answer", "words"),
    [
        ("skip", "2026-12-01T09:00", "closed_day", "It was skipped: closed day 創立記念日 (calendar Office)."),
        (
            "next_open",
            "2026-12-01T09:00",
            "closed_day",
            "It moved to 2026-12-02: closed day 創立記念日 (calendar Office).",
        ),
        ("next_open", "2026-12-02T09:00", "will_run", "It will run"),
        ("skip", "2026-12-01T09:01", "not_scheduled", "does not name this time"),
    ],
)
def test_explain_knows_closed_days(
    make_job: MakeJob, office: Calendar, rule: str, moment: str, answer: str, words: str
) -> None:
    job = job_of(make_job, cron_expression="0 9 1 * *", calendar="office", on_closed_day=rule)
    with time_machine.travel(at("2026-11-26T12:00"), tick=False):
        found = explain(job, at(moment))
    assert (found.answer, words in found.message) == (answer, True)
    if rule == "next_open":
        key = "shifted_to" if answer == "closed_day" else "shifted_from"
        assert found.facts[key].startswith("2026-12-0")
