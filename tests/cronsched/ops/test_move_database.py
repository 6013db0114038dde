"""An installation moved from SQLite to PostgreSQL and back: every row, or a plain refusal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.support.installation import Installation
from tests.support.postgres import Postgres

pytestmark = pytest.mark.long

_SEED = """
import datetime as dt
from demo.seed import seed
from settings_app.models import SlackSettings, GitHubCredential
seed("http://127.0.0.1:5099", count=14, days=2)
SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/secret")
from accounts.models import AppDevice, User
from taxonomy.models import PicTeam
GitHubCredential.objects.create(name="g", token="ghp_secret").teams.add(PicTeam.objects.first())
AppDevice.objects.create(user=User.objects.get(username="admin"), name="app", secret="00" * 20)
"""
_LOOK = """
from executions.models import Execution; from settings_app.models import SlackSettings, GitHubCredential
from jobs.models import Job; from jobs.services import create_job; from accounts.models import User
from executions.statistics import rollups; from core.api.timestamps import DateRange
by = User.objects.get(username="demo-user")
create_job({"name": "after", "cron_expression": "0 0 * * *", "end_date": "2099-01-01",
"pic_team": Job.objects.first().pic_team.slug, "target_url": "https://h.example.com/"}, by=by)
print(Execution.objects.count(), rollups.counts(DateRange(None, None)).total, SlackSettings.current().webhook_url,
GitHubCredential.objects.get().token, Job.objects.count())
from accounts.models import AppDevice
assert AppDevice.objects.get().secret == "00" * 20 and AppDevice.objects.get().user.username == "admin"
assert GitHubCredential.objects.get().teams.count() == 1
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def origin(tmp_path: Path) -> Installation:
    found = Installation(tmp_path, web=False, schedulers=0).prepared()
    found.python(_SEED)
    return found


def moved(installation: Installation, url: str) -> dict[str, tuple[int, str]]:
    done = installation.manage("movedata", "--to", url, "--json", check=False)
    assert done.returncode == 0, done.stderr
    return {row["table"]: (row["rows"], row["checksum"]) for row in json.loads(done.stdout)}


def test_there_and_back(origin: Installation, postgres: Postgres, tmp_path: Path) -> None:
    url, back = postgres.database(), tmp_path / "back.sqlite3"
    there = moved(origin, url)
    with closing(sqlite3.connect(origin.folder / "cronsched.sqlite3")) as plain:
        assert (
            there["executions_execution"][0]
            == plain.execute("SELECT count(*) FROM executions_execution").fetchone()[0]
            > 100
        )
    before = origin.env
    origin.env = {**before, "DATABASE_URL": url}
    assert moved(origin, f"sqlite:///{back}") == there
    told = origin.python(_LOOK).split()
    assert told == [
        str(there["executions_execution"][0]),
        told[1],
        "https://hooks.example.com/secret",
        "ghp_secret",
        "15",
    ]
    origin.env = {**before, "DATABASE_URL": f"sqlite:///{back}"}
    assert origin.python(_LOOK).split() == told


def test_a_target_in_use_is_refused(origin: Installation, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    assert moved(origin, url)
    for target, words in [
        (url, "not empty"),
        (f"sqlite:///{origin.folder / 'cronsched.sqlite3'}", "database in use"),
        ("mysql://x/y", "--to is not"),
    ]:
        done = origin.manage("movedata", "--to", target, check=False)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_an_interrupted_move_goes_on(origin: Installation, postgres: Postgres) -> None:
    url = postgres.database()
    origin.python(
        "from cronsched.ops import move_database\n"
        "move_database._BATCH = 50\n"
        "def stop(table, done, total):\n    if table == 'executions_execution' and done >= 100: raise "
        "KeyboardInterrupt\n"
        f"try:\n    list(move_database.move({url!r}, stop))\nexcept KeyboardInterrupt:\n    pass\n"
    )
    with psycopg.connect(url) as plain:
        found = plain.execute("SELECT count(*) FROM executions_execution").fetchone()
        assert found is not None
        assert 50 <= found[0] <= 150
    there = moved(origin, url)
    assert there["executions_execution"][0] > 150


def test_a_running_scheduler_is_refused(origin: Installation, tmp_path: Path) -> None:
    origin.start_scheduler()
    try:
        from tests.support.target import wait_until

        wait_until(lambda: "leading as" in origin.log("scheduler0"), 20)
        done = origin.manage("movedata", "--to", f"sqlite:///{tmp_path / 'other.sqlite3'}", check=False)
        assert done.returncode == 1
        assert "A scheduler is running" in done.stderr
    finally:
        origin.processes["scheduler0"].terminate()
        origin.processes["scheduler0"].wait(20)
