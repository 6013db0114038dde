"""The total number of executions, without counting millions of rows each time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from executions import retention
from executions.models import Execution, Status
from executions.statistics import rollups, total_count
from jobs.models import Job
from jobs.services import remove_jobs

pytestmark = pytest.mark.django_db


class TestCounting:
    def total(self) -> int:
        return total_count.total(Execution.objects.all(), ("test",))

    def test_the_past_is_counted_once_and_stays_right(
        self, make_job: Callable[..., Job], admin: User, settings: Any, django_assert_num_queries: Any
    ) -> None:
        settings.EXECUTIONS_KEPT_DAYS = 30
        job, other = make_job(), make_job(name="other")
        now = timezone.now()

        def began(which: Job, days: float) -> Execution:
            return Execution.objects.create(
                job=which, status="success", trigger_type="manual", execution_type="webhook", target="x",
                started_at=now - dt.timedelta(days=days),
            )  # fmt: skip

        for days in (40, 20, 5, 0):
            began(job, days)
        began(other, 7)
        assert self.total() == 5
        with django_assert_num_queries(2):
            assert self.total() == 5
        began(job, 0)
        assert self.total() == 6
        assert retention.prune() == 1
        assert self.total() == 5
        remove_jobs([other], by=admin)
        assert self.total() == 4
        missed = began(job, 9)
        rollups.count([rollups.Ended(job.pk, "webhook", missed.started_at, Status.MISSED, None)])
        assert self.total() == 5
