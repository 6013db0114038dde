"""What a worker reads of the executions that it has claimed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from executions.delivery.carry_out import carry_out, read_teams, with_jobs
from executions.delivery.state import Delivery
from executions.models import Execution
from jobs.models import Job
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.firing import MINUTE, NOON, made_at_noon

pytestmark = pytest.mark.django_db
JOBS: list[dict[str, Any]] = [
    {"target_url": "https://hooks.example.com/x", "max_attempts": 3, "jitter_seconds": 5, "metadata": {"a": 1}},
    {"github_owner": "acme", "github_repo": "web", "github_workflow_name": "e2e.yml"},
    {"target_url": "https://hooks.example.com/{{ job.name }}", "templated": True, "headers": {"X-A": "1"}},
    {"completion": "callback", "success_body": "contains ok", "method": "PUT", "body": "text", "body_text": "x"},
]


def test_the_columns_that_deliveries_need_are_read_at_once(
    make_job: Callable[..., Job], handed: list[Delivery], django_assert_max_num_queries: Any
) -> None:
    for number, changes in enumerate(JOBS * 2):
        made_at_noon(make_job, name=f"job {number}", **changes)
    leader = Leader()
    leader.take_over()
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
        fired = {one.execution_id: one for one in handed}
        handed.clear()
        Execution.objects.update(worker_id=None)
        for some in (Execution.objects.filter(job__name="job 0"), Execution.objects.exclude(job__name="job 0")):
            # Executions, jobs, teams, waits for a budget, and the budget of a credential.
            with django_assert_max_num_queries(6):
                assert carry_out(with_jobs(some), read_teams()) == 0
    assert len(fired) == len(handed) == len(JOBS) * 2
    for one in handed:
        # A claim counts as its own start; the rest is what the leader had handed over.
        before = fired[one.execution_id]
        assert one._replace(worker_id=None, deadline=None) == before._replace(worker_id=None, deadline=None)
