"""Chores run once after a time in which nobody led, and go on after errors."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from scheduler import chores
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
# A Monday, 08:55 in Asia/Tokyo.
BEFORE = dt.datetime(2026, 11, 29, 23, 55, tzinfo=dt.UTC)
RAN: list[str] = []


def note() -> None:
    RAN.append("reminders")


@pytest.fixture(autouse=True)
def _only_reminders(monkeypatch: pytest.MonkeyPatch) -> None:
    RAN.clear()
    monkeypatch.setattr(chores, "JOBS", {"remind of ending jobs": (note, "0 9 * * 1")})


def next_run() -> dt.datetime | None:
    return DjangoJob.objects.values_list("next_run_time", flat=True).get()


def test_a_deploy_over_its_time_does_not_lose_a_weeks_reminders() -> None:
    with time_machine.travel(BEFORE, tick=False):
        chores.start().shutdown()
        assert next_run() == BEFORE + dt.timedelta(minutes=5)
    assert RAN == []
    with time_machine.travel(BEFORE + dt.timedelta(hours=30), tick=False):
        again = chores.start()
        wait_until(lambda: RAN)
        again.shutdown()
        assert next_run() == BEFORE + dt.timedelta(days=7, minutes=5)
    assert RAN == ["reminders"]
    with time_machine.travel(BEFORE + dt.timedelta(hours=31), tick=False):
        third = chores.start()
        third.shutdown()
    assert RAN == ["reminders"]


def test_an_error_of_the_database_does_not_end_the_chores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "_RETRY_SECONDS", 0.01)
    due, failures = DjangoJobStore.get_due_jobs, iter([True, True])

    def flaky(store: Any, now: Any) -> Any:
        if next(failures, False):
            raise OperationalError("gone")
        return due(store, now)

    monkeypatch.setattr(DjangoJobStore, "get_due_jobs", flaky)
    with time_machine.travel(BEFORE, tick=False):
        chores.start().shutdown()
    with time_machine.travel(BEFORE + dt.timedelta(minutes=6), tick=False):
        running = chores.start()
        wait_until(lambda: RAN)
        running.shutdown()
