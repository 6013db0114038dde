"""What Prometheus reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from executions.models import Execution, Status, Worker
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from jobs.models import Job
from notifications.models import Message
from scheduler.models import Leadership

pytestmark = pytest.mark.django_db


def scraped(**headers: str) -> dict[str, Any]:
    answer = Client().get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {(sample.name, *sorted(sample.labels.values())): sample.value for one in families for sample in one.samples}


class TestMetrics:
    @pytest.fixture(autouse=True)
    def _public(self, settings: Any) -> None:
        settings.METRICS_PUBLIC = True

    def test_they_tell_what_the_database_says(self, make_job: Callable[..., Job]) -> None:
        job, now = make_job(), timezone.now()
        ended = [Ended(job.pk, "webhook", now, Status.SUCCESS, 2.0, late) for late in (0.004, 0.03, 0.03, 7000.0)]
        rollups.count([*ended, Ended(job.pk, "github_actions", now, Status.FAILED, 1.5)])
        Execution.objects.create(job=job, trigger_type="manual", execution_type="webhook", target="x")
        Job.objects.filter(pk=job.pk).update(next_run_at=now - dt.timedelta(minutes=1))
        Leadership.objects.create(leader_id="h:1", heartbeat_at=now, fencing_token=4)
        Worker.objects.create(host="there", pid=7, memory_bytes=123)
        Message.objects.create(key="k", channel="email", status="failed", text="x")
        found = scraped()
        assert found["cronsched_executions_total", "success", "webhook"] == 4
        assert found["cronsched_executions_total", "failed", "github_actions"] == 1
        assert found["cronsched_execution_seconds_total", "webhook"] == 8
        assert found["cronsched_fire_lag_seconds_bucket", "0.01"] == 1
        assert found["cronsched_fire_lag_seconds_bucket", "0.05"] == 3
        assert found["cronsched_fire_lag_seconds_bucket", "+Inf"] == found[("cronsched_fire_lag_seconds_count",)] == 4
        assert found[("cronsched_leader",)] == 1
        assert found[("cronsched_leader_fencing_token",)] == 4
        assert found[("cronsched_backlog_jobs",)] == 1
        assert found["cronsched_executions_open", "running"] == found[("cronsched_executions_unclaimed",)] == 1
        assert found["cronsched_worker_memory_bytes", "7", "there"] == 123
        assert found["cronsched_messages", "failed"] == 1
        assert found[("cronsched_database_up",)] == 1
        assert found[("process_resident_memory_bytes",)] > 1e6

    def test_they_are_counted_in_a_constant_number_of_queries(
        self, make_job: Callable[..., Job], django_assert_num_queries: Any
    ) -> None:
        for number in range(4):
            rollups.count([Ended(make_job(name=f"{number}").pk, "webhook", timezone.now(), Status.SUCCESS, 1.0, 1.0)])
        with django_assert_num_queries(13):
            scraped()

    def test_not_for_everybody(self, settings: Any) -> None:
        settings.METRICS_PUBLIC = False
        assert Client().get("/metrics").status_code == 403
        settings.METRICS_TOKEN = "m" * 20
        assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert scraped(HTTP_AUTHORIZATION="Bearer " + "m" * 20)
