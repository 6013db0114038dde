"""Chores run once after a time in which nobody led, and go on after errors."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django_apscheduler.models import DjangoJob

from scheduler import chores
from scheduler.chore_store import ChoreStore
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
    asked: list[bool] = []
    following = ChoreStore.get_next_run_time

    def flaky(store: Any) -> Any:
        asked.append(True)
        if len(asked) < 3:
            raise OperationalError("gone")
        return following(store)

    with time_machine.travel(BEFORE, tick=False):
        chores.start().shutdown()
    monkeypatch.setattr(ChoreStore, "get_next_run_time", flaky)
    with time_machine.travel(BEFORE + dt.timedelta(minutes=6), tick=False):
        running = chores.start()
        # It goes on after two errors, and what was due has run once.
        wait_until(lambda: len(asked) >= 3)
        running.shutdown()
    assert RAN == ["reminders"]
