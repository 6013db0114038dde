"""Reconciliation with unusable rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from jobs.models import Job
from scheduler.leadership import Leader
from scheduler.reconcile import repair

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)  # 12:00 JST
MakeJob = Callable[..., Job]


@pytest.fixture
def leader() -> Leader:
    leader = Leader()
    leader.take_over()
    return leader


def made_at_noon(make_job: MakeJob, **changes: Any) -> Job:
    with time_machine.travel(NOON, tick=False):
        return make_job(cron_expression="* * * * *", **changes)


def test_a_row_that_cannot_be_read_does_not_end_a_full_pass(make_job: MakeJob, leader: Leader) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL stores no such date")
    broken, sound = made_at_noon(make_job), made_at_noon(make_job, name="Sound")
    Job.objects.update(next_run_at=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET end_date = '2099-02-31' WHERE id = %s", [broken.pk.hex])
    assert repair() == 1
    sound.refresh_from_db()
    assert sound.next_run_at is not None
    assert Job.objects.filter(pk=broken.pk).values_list("problem", flat=True)[0]
