"""Exports."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from calendars.models import Calendar
from jobs.models import Job
from jobs.transfer.exporting import RELATED, write_csv, write_json
from settings_app.models import GitHubCredential

pytestmark = pytest.mark.django_db
MakeJob = Callable[..., Job]


def made(make_job: MakeJob, count: int) -> list[Any]:
    return [
        make_job(
            name=f"job {count} {number}",
            github_owner="o",
            github_repo="r",
            github_workflow_name="w.yml",
            github_credential=GitHubCredential.objects.create(name=f"{count} {number}", token="t").name,
            calendar=Calendar.objects.create(name=f"{count} {number}", slug=f"c-{count}-{number}").slug,
        ).pk
        for number in range(count)
    ]


@pytest.mark.parametrize("write", [write_csv, write_json])
@pytest.mark.parametrize("count", [1, 5])
def test_relations_cost_no_query_a_job(
    write: Any, count: int, make_job: MakeJob, django_assert_num_queries: Any
) -> None:
    made(make_job, count)
    with django_assert_num_queries(1):
        assert write(Job.objects.select_related(*RELATED), io.StringIO(), reader=None) == count


def test_nor_does_the_action_of_the_admin(
    browser: Client, make_job: MakeJob, django_assert_max_num_queries: Any
) -> None:
    def exported(count: int) -> int:
        body = {"action": "export_csv", "_selected_action": made(make_job, count)}
        with django_assert_max_num_queries(1000) as asked:
            assert browser.post(reverse("admin:jobs_job_changelist"), body).status_code == 200
        return len(asked)

    assert exported(5) <= exported(1)
