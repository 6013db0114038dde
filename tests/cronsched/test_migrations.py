"""Migrations: from the first release on, and from the state before it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import migrations
from django.db.migrations.loader import MigrationLoader

from tests.support.installation import ROOT
from tests.support.postgres import Postgres

# The last migrations before the first release: they rename tables and remove columns, so every process is stopped for
# them.
BASELINE = {
    "accounts": 1,
    "audit": 1,
    "executions": 2,
    "jobs": 2,
    "notifications": 4,
    "scheduler": 2,
    "settings_app": 1,
    "taxonomy": 1,
}
UPGRADE = ROOT / "tests" / "support" / "upgrade"
SECRET = "only-for-the-upgrade-test-0123456789012345"


def upgraded(folder: Path, url: str) -> dict[str, Any]:
    """What the API answers after a database of the version before was migrated."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cronsched.settings",
        "CRONSCHED_DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "SECRET_KEY": SECRET,
        "ALLOWED_HOSTS": "testserver",
        "PYTHONWARNINGS": "ignore",
    }
    for command in (["manage.py", "migrate", "-v0"], ["-m", "tests.support.upgrade.answers"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.long
class TestUpgrade:
    """A database with data of the version before its migrations were squashed goes on, and the API answers the same."""

    def test_on_sqlite(self, tmp_path: Path) -> None:
        file = tmp_path / "cronsched.sqlite3"
        with closing(sqlite3.connect(file)) as plain:
            # Django gives this function to each of its connections.
            plain.create_function("REGEXP", 2, lambda pattern, text: bool(re.search(pattern, text)), deterministic=True)
            plain.executescript((UPGRADE / "sqlite.sql").read_text())
        assert upgraded(tmp_path, f"sqlite:///{file}") == json.loads((UPGRADE / "sqlite.json").read_text())
        with closing(sqlite3.connect(file)) as plain:
            tables = {name for (name,) in plain.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            assert {"audit_changerecord", "executions_limitallocation", "notifications_failurestate"} <= tables
            assert not {"jobs_changerecord", "executions_slots", "notifications_streak"} & tables
            kinds = dict(plain.execute("SELECT name, target_kind FROM jobs_job"))
            assert kinds == {"Nightly": "webhook", "Workflow": "github_actions"}
            assert plain.execute("SELECT count(*) FROM audit_changerecord").fetchone()[0] > 5

    def test_on_postgresql(self, tmp_path: Path) -> None:
        with Postgres() as server:
            url = server.database()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute((UPGRADE / "postgresql.sql").read_text().encode())
            assert upgraded(tmp_path, url) == json.loads((UPGRADE / "postgresql.json").read_text())


@pytest.mark.django_db
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
                        if field.null or field.many_to_many or field.has_db_default()
                        else [f"{app}.{operation.model_name}.{operation.name}"]
                    )
        assert lacking == []
