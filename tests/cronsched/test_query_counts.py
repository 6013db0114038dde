"""How many queries hot endpoints take: the same for one row and for many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.models import Execution
from jobs.models import Job

# One more than each endpoint's own: the login session with its user.
HOT = [
    ("/api/v2/jobs", 3),
    ("/api/v2/jobs?page=1", 5),
    ("/api/v2/executions", 6),
    ("/api/v2/executions/statistics", 3),
    ("/api/v2/notifications", 8),
    ("/api/v2/notifications/unread-count", 3),
    ("/api/v2/job-categories", 2),
    ("/api/v2/scheduler/status", 4),
    ("/api/v2/health", 2),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "queries"), HOT)
def test_a_constant_number_of_queries(
    api: APIClient, make_job: Callable[..., Job], path: str, queries: int, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        job = make_job(name=f"job {number}")
        Execution.objects.create(job=job, trigger_type="manual", execution_type="webhook", target="x")
    # What a process counts once is known from here on.
    api.get(path)
    with django_assert_num_queries(queries):
        assert api.get(path).status_code == 200
    for number in range(3, 12):
        job = make_job(name=f"job {number}")
        Execution.objects.create(job=job, trigger_type="manual", execution_type="webhook", target="x")
    with django_assert_num_queries(queries):
        api.get(path)


@pytest.mark.django_db
def test_an_unchanged_job_list_costs_one_cheap_query(
    api: APIClient, make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    make_job()
    etag = api.get("/api/v2/jobs")["ETag"]
    with django_assert_num_queries(2):
        assert api.get("/api/v2/jobs", HTTP_IF_NONE_MATCH=etag).status_code == 304
