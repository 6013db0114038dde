"""What lies in `deploy/` fits the product: commands, settings and metrics are those that there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.core.management import get_commands
from django.test import Client

from deploy.cluster import Postgres

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PARTS = ("_bucket", "_sum", "_count", "_total")


def commands() -> list[str]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    found = [" ".join(service["command"]) for service in compose.values() if "manage.py" in service.get("command", [])]
    units = [line for unit in (DEPLOY / "systemd").iterdir() for line in unit.read_text().splitlines()]
    return found + [line for line in units if line.startswith("ExecStart") and "manage.py" in line]


def test_every_command_is_one() -> None:
    named = {re.search(r"manage\.py (\w+)", line)[1] for line in commands()}  # type: ignore[index]
    assert named == {"setup", "runscheduler", "runworker"}
    assert named | {"alive", "doctor", "movedata", "backup", "restore"} <= set(get_commands())


def web_commands() -> list[list[str]]:
    """What starts the web processes in a container and under systemd."""
    [unit] = re.findall(r"^ExecStart=\S+ (.*)$", (DEPLOY / "systemd/cronsched-web.service").read_text(), re.M)
    [image] = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text(), re.M)
    return [unit.split(), json.loads(image)[1:]]


@pytest.mark.parametrize("command", web_commands())
def test_the_web_starts_without_settings_of_django_in_the_environment(command: list[str], tmp_path: Path) -> None:
    assert command[:2] == ["-m", "gunicorn"]
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    # The arbiter loads the class before the application.
    code = "from gunicorn.app.wsgiapp import WSGIApplication as App; print(App().cfg.worker_class.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code, *command[2:]],
        cwd=ROOT,
        env=env | {"CRONSCHED_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "BufferingWorker", done.stderr


def test_every_setting_is_explained_in_the_example_file() -> None:
    known = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    named = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "cluster.env.example").read_text(), re.M))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    named |= set(compose["x-cronsched"]["environment"])
    assert named <= known


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_version_of_python_gets_the_same_versions(name: str) -> None:
    locked = re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(), re.M)
    assert [one for one in locked if locked.count(one) > 1] == []


def test_every_app_is_in_the_container() -> None:
    copied = set(re.findall(r"^COPY (\w+) ", (DEPLOY / "Containerfile").read_text(), re.M))
    apps = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "deploy", "demo"}
    assert copied == apps | {"templates"}
    assert "USER 10001" in (DEPLOY / "Containerfile").read_text()


@pytest.mark.django_db
def test_alerts_and_dashboard_ask_for_metrics_that_there_are(settings: Any) -> None:
    settings.METRICS_PUBLIC, settings.EXECUTION_BACKEND = True, "celery"
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    shown = Client().get("/metrics").content.decode()
    known = set(re.findall(r"^# TYPE (\w+)", shown, re.M)) | {
        "cronsched_broker_latency_seconds",
        "cronsched_broker_messages",
    }
    # Before the first leader there is no heartbeat.
    known.add("cronsched_leader_heartbeat_age_seconds")
    asked = (DEPLOY / "prometheus" / "cronsched-alerts.yml").read_text() + (
        DEPLOY / "grafana" / "cronsched.json"
    ).read_text()
    names = set(re.findall(r"\bcronsched_[a-z_]+\b", asked))
    assert names
    for name in names:
        base = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
        assert name in known or base in known, name
    assert yaml.safe_load((DEPLOY / "prometheus" / "cronsched-alerts.yml").read_text())["groups"]
    assert len(json.loads((DEPLOY / "grafana" / "cronsched.json").read_text())["panels"]) == 12


def test_every_alert_has_a_test_of_its_rule() -> None:
    folder = DEPLOY / "prometheus"
    rules = yaml.safe_load((folder / "cronsched-alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((folder / "cronsched-alerts-test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    quiet = {one["alertname"] for test in tests for one in test["alert_rule_test"] if not one["exp_alerts"]}
    assert {rule["alert"] for rule in rules} == fired == quiet


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_when_they_should() -> None:
    folder = DEPLOY / "prometheus"
    for arguments in (["check", "rules", "cronsched-alerts.yml"], ["test", "rules", "cronsched-alerts-test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_database_of_the_cluster_starts_in_a_path_with_a_space_and_again(tmp_path: Path) -> None:
    for _ in range(2):
        server = Postgres(tmp_path / "a folder's data")
        url = server.start()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        server.stop()
