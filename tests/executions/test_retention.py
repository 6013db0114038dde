"""Which executions are kept, and in how small steps the others are deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from executions import retention
from executions.models import Execution, Status
from executions.statistics import rollups
from jobs.models import Job
from jobs.services import remove_jobs
from tests.support import executions as support
from tests.support.executions import left
from tests.support.rollups import ALL, ran, rebuild

pytestmark = pytest.mark.django_db


class TestRetention:
    def test_by_age_in_steps_and_never_what_is_open(self, make_job: Callable[..., Job], settings: Any) -> None:
        settings.EXECUTIONS_KEPT_DAYS = 1
        job, now = make_job(), timezone.now()
        Execution.objects.bulk_create(
            Execution(
                job=job,
                status="success",
                trigger_type="manual",
                execution_type="webhook",
                target="x",
                started_at=now - dt.timedelta(days=1, minutes=5 + number),
            )
            for number in range(450)
        )
        kept = ran(job, 0, Status.RUNNING)
        Execution.objects.filter(pk=kept.pk).update(started_at=now - dt.timedelta(days=2))
        new = Execution.objects.create(
            job=job, status="success", trigger_type="manual", execution_type="webhook", target="x"
        )
        rebuild()
        steps: list[int] = []
        assert retention.prune(steps.append) == 450
        assert steps[0] == 200
        assert steps[-1] == 450
        assert set(Execution.objects.values_list("pk", flat=True)) == {kept.pk, new.pk}
        assert rollups.counts(ALL).success == 451

    def test_by_count_for_each_job_and_outcome(self, make_job: Callable[..., Job], settings: Any) -> None:
        settings.EXECUTIONS_KEPT_DAYS = 0
        settings.EXECUTIONS_KEPT_SUCCESS, settings.EXECUTIONS_KEPT_UNRUN = 2, 1
        busy, quiet = make_job(name="busy"), make_job(name="quiet")
        for minute in range(6):
            ran(busy, minute, Status.SUCCESS)
            ran(busy, minute, Status.FAILED)
            ran(busy, minute, Status.MISSED if minute % 2 else Status.SKIPPED)
        ran(quiet, 0, Status.SUCCESS)
        rebuild()
        assert retention.prune() == 4 + 5
        left = Execution.objects.filter(job=busy, status=Status.SUCCESS).newest_first()
        assert [row.started_at.minute for row in left] == [5, 4]
        assert Execution.objects.filter(job=busy, status=Status.FAILED).count() == 6
        assert retention.prune() == 0


class TestDeletedJobs:
    def test_a_short_history_goes_with_its_job(self, make_job: Callable[..., Job], admin: User) -> None:
        job = make_job()
        support.ran(job, Status.SUCCESS)
        remove_jobs([job], by=admin)
        assert not Job.with_deleted.exists()
        assert not Execution.objects.exists()

    def test_a_long_history_is_gone_at_once_and_deleted_in_steps(
        self, make_job: Callable[..., Job], admin: User, api: Any, browser: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "_SHORT", 5)
        monkeypatch.setattr(retention._Step, "size", 4)
        job, other = make_job(), make_job(name="Other")
        for ago in range(20):
            support.ran(job, Status.SUCCESS, ago=60 + ago)
        support.ran(other, Status.FAILED)
        running = left(job)
        api.delete(f"/api/v2/jobs/{job.pk}")
        assert not Execution.objects.filter(pk=running.pk).exists()
        assert [one["name"] for one in api.get("/api/v2/jobs").json()["jobs"]] == ["Other"]
        assert api.get(f"/api/v2/jobs/{job.pk}").status_code == 404
        shown = api.get("/api/v2/executions").json()
        assert (shown["total"], len(shown["executions"])) == (1, 1)
        assert api.get("/api/v2/executions/statistics").json()["total_executions"] == 1
        ended = Execution.objects.filter(job=job).first()
        assert ended is not None
        assert api.get(f"/api/v2/executions/{ended.pk}").status_code == 404
        assert "Nightly" not in browser.get("/admin/executions/execution/").content.decode()
        # The name is free again.
        assert make_job().name == "Nightly"
        assert retention.delete_long_histories() == 1
        assert not Job.with_deleted.filter(pk=job.pk).exists()
        assert Execution.objects.count() == 1
        assert api.get("/api/v2/executions").json()["total"] == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL sorts what the index gives")
def test_deleted_jobs_are_found_without_reading_the_others(make_job: Callable[..., Job]) -> None:
    make_job()
    with CaptureQueriesContext(connection) as asked:
        assert list(Execution.objects.of_kept_jobs()) == []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
        assert "INDEX job_deleted" in str(cursor.fetchall())
