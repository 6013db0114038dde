"""What operators see from outside: metrics, logs, the doctor."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from console.github_stand_in import GitHub
from contract import logs
from cronsched.doctor import examine
from executions import rollups
from executions.models import Execution, Status, Worker
from executions.rollups import Ended
from jobs.models import Job
from notifications.models import Message
from scheduler.models import Leadership
from tests.installation import Installation
from tests.target import Target, wait_until

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
        with django_assert_num_queries(10):
            scraped()

    def test_not_for_everybody(self, settings: Any) -> None:
        settings.METRICS_PUBLIC = False
        assert Client().get("/metrics").status_code == 403
        settings.METRICS_TOKEN = "m" * 20
        assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert scraped(HTTP_AUTHORIZATION="Bearer " + "m" * 20)


def line(style: str, execution: str = "", **extra: Any) -> str:
    stream = io.StringIO()
    made = logs.configuration(style, "INFO")["formatters"][style]
    factory = made.pop("()")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(factory(made["format"], style="{") if made else factory())
    handler.addFilter(logs.ExecutionId())
    record = logging.LogRecord("cronsched.x", logging.WARNING, "f", 1, "日本 %s", ("語",), None)
    record.__dict__.update(extra)
    token = logs.execution.set(execution)
    try:
        handler.handle(record)
    finally:
        logs.execution.reset(token)
    return stream.getvalue().strip()


def test_log_lines_carry_the_execution() -> None:
    assert line("human").endswith("WARNING cronsched.x: 日本 語")
    assert line("human", "some-id").endswith("日本 語 [execution some-id]")
    told = json.loads(line("json", "some-id"))
    assert (told["level"], told["logger"], told["message"], told["execution"]) == (
        "WARNING",
        "cronsched.x",
        "日本 語",
        "some-id",
    )
    assert dt.datetime.fromisoformat(told["time"]).tzinfo
    assert json.loads(line("json", extra="x", execution="other"))["execution"] == "other"


class TestDoctor:
    @pytest.fixture
    def github(self, settings: Any) -> Iterator[GitHub]:
        with GitHub() as server:
            settings.GITHUB_API_URL = server.url
            yield server

    def test_each_trouble_is_named_with_its_remedy(
        self, make_job: Callable[..., Job], settings: Any, github: GitHub, monkeypatch: Any
    ) -> None:
        settings.EXPOSE_ERROR_DETAILS = True
        settings.MAIL_ENABLED, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", 1
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EXECUTION_BACKEND, settings.GITHUB_TOKEN = "celery", "revoked"
        monkeypatch.setattr("executions.queueing.waiting_messages", lambda: None)
        make_job(github_owner="acme", github_repo="shop", github_workflow_name="x.yml")
        Job.objects.filter(pk=make_job(name="odd").pk).update(problem="bad cron", target_url="http://10.0.0.1/x")
        Message.objects.create(key="k", channel="email", status="failed", text="x")
        bad = {finding.subject for finding in examine() if finding.level == "bad"}
        assert bad == {"settings", "leader", "broker", "workers", "targets", "messages", "mail", "GitHub"}
        assert all(finding.remedy for finding in examine() if finding.level == "bad")

    def test_a_healthy_one_has_nothing_bad(self, capsys: Any) -> None:
        Leadership.objects.create(leader_id="h:1", heartbeat_at=timezone.now())
        call_command("doctor", "--json", "--offline")
        findings = json.loads(capsys.readouterr().out)
        assert {finding["level"] for finding in findings} <= {"ok", "note"}

    def test_the_command_ends_with_1_where_something_is_bad(self, capsys: Any) -> None:
        with pytest.raises(SystemExit) as ended:
            call_command("doctor", "--offline")
        assert ended.value.code == 1
        assert "-> Start one: 'manage.py runscheduler'." in capsys.readouterr().out


def test_traces_go_where_the_environment_says(tmp_path: Path, target: Target) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": target.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with Installation(tmp_path, schedulers=0, env=env) as installation:
        assert installation.anyone.get("/health").status_code == 200
        wait_until(
            lambda: any(one.path == "/v1/traces" and b"api/v2/health" in one.body for one in target.arrivals), 20
        )


# The last migrations before there was anything to be updated.
BASELINE = {
    "accounts": 3,
    "executions": 4,
    "jobs": 4,
    "notifications": 4,
    "scheduler": 3,
    "settings_app": 4,
    "taxonomy": 3,
}


class TestMigrations:
    def test_they_only_add_what_the_old_code_can_live_with(self) -> None:
        """While they run the old code writes rows without the new columns, and reads tables that it knows."""
        loader = MigrationLoader(None)
        lacking: list[str] = []
        for (app, name), migration in loader.disk_migrations.items():
            if int(name[:4]) <= BASELINE.get(app, 10_000):
                continue
            for operation in migration.operations:
                assert not isinstance(
                    operation, migrations.RemoveField | migrations.RenameField | migrations.DeleteModel
                ), (app, name)
                new_here = {one.name_lower for one in migration.operations if isinstance(one, migrations.CreateModel)}
                if isinstance(operation, migrations.AddField) and operation.model_name_lower not in new_here:
                    field = apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
                    lacking += (
                        []
                        if field.null or field.has_db_default()
                        else [f"{app}.{operation.model_name}.{operation.name}"]
                    )
        assert lacking == []
