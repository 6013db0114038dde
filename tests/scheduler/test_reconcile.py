"""Reconciliation with unusable rows."""

from __future__ import annotations

import pytest

from jobs.models import Job
from scheduler.leadership import Leader
from scheduler.reconcile import repair
from tests.support.firing import MakeJob, made_at_noon

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]


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
