"""Rows of many ids."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from core.db.among import among
from jobs.models import Job

pytestmark = pytest.mark.django_db


def test_it_finds_the_rows_with_these_ids(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=str(number)) for number in range(3)]
    asked = [jobs[0].pk, jobs[2].pk, uuid4()]
    found = Job.objects.filter(among(asked)).order_by("name").values_list("pk", flat=True)
    assert list(found) == [jobs[0].pk, jobs[2].pk]
    assert Job.objects.filter(among(asked)).update(last_status="failed") == 2
    assert Job.objects.exclude(among(asked)).get() == jobs[1]


def test_no_ids_find_nothing(make_job: Callable[..., Job]) -> None:
    job = make_job()
    assert not Job.objects.filter(among([])).exists()
    assert Job.objects.filter(among([])).update(last_status="failed") == 0
    assert Job.objects.exclude(among([])).get() == job


def test_it_goes_with_other_conditions_and_joins(make_job: Callable[..., Job]) -> None:
    job = make_job()
    assert Job.objects.filter(among(uuid4() for _ in range(3)), category__slug=job.category.slug).count() == 0
    assert Job.objects.filter(among([job.pk]), category__slug=job.category.slug).get() == job
