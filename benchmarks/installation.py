"""An installation of its own for a benchmark, in a temporary folder."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import psycopg

from deploy.cluster import Postgres

# The checkout that is measured: this one, or another beside it (`python -m benchmarks --at`).
ROOT = Path(os.environ.get("CRONSCHED_BENCH_ROOT") or Path(__file__).resolve().parent.parent)
_ENDED = "SELECT count(*) FROM executions_execution WHERE completed_at IS NOT NULL"
_LOOK_SECONDS = 0.05


def environment(folder: str, database_url: str | None = None) -> dict[str, str]:
    """The settings of an installation whose data is in `folder`."""
    return {
        **os.environ,
        "CRONSCHED_DATA_DIR": folder,
        "CRONSCHED_ALLOWED_TARGETS": "127.0.0.0/8",
        "DATABASE_URL": database_url or f"sqlite:///{folder}/bench.sqlite3",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "cronsched.settings",
    }


# Jobs as real installations have them: a tenth of them at 09:00, the others spread over all minutes of a day, of twenty
# teams and a hundred hosts.
SPREAD = """
import datetime as dt
from jobs.models import Job
from taxonomy.models import Category, PicTeam
def add_spread_jobs(count, midnight):
    teams = [PicTeam.objects.create(name=f"Team {n}", slug=f"team-{n}", slack_handle=f"@team{n}") for n in range(20)]
    general = Category.objects.get(slug="general")
    minute_of = [9 * 60 if n % 10 == 0 else n % 1440 for n in range(count)]
    for start in range(0, count, 10_000):
        Job.objects.bulk_create([
            Job(name=f"job {n}", cron_expression=f"{minute_of[n] % 60} {minute_of[n] // 60} * * *", category=general,
                target_url=f"https://host{n % 100}.example.com/{n}", pic_team=teams[n % 20],
                end_date=dt.date(2099, 12, 31), next_run_at=midnight + dt.timedelta(minutes=minute_of[n]))
            for n in range(start, min(count, start + 10_000))
        ])
"""


@contextmanager
def empty_database(kind: str) -> Iterator[str | None]:
    """Gives the URL of an empty database of a PostgreSQL server of its own; None for `sqlite`, see `environment`."""
    if kind == "sqlite":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder:
        postgres = Postgres(Path(folder))
        try:
            yield postgres.start()
        finally:
            postgres.stop()


def cpu_seconds(*pids: int) -> float:
    """The CPU time that processes have used so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def manage(env: dict[str, str], *arguments: str) -> None:
    """Run a management command."""
    subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], env=env, cwd=ROOT, check=True)


def python(env: dict[str, str], code: str, *arguments: str) -> str:
    """Run code with Django set up; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()\n" + code, *arguments],
        env=env,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def by_rounds(description: str | None, code: str, rounds: int) -> None:
    """The command line of code that prints figures as JSON, given how many jobs and rounds, in a new installation."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder:
        env = environment(folder)
        manage(env, "migrate", "-v0")
        found = json.loads(python(env, code, str(options.jobs), str(options.rounds)).splitlines()[-1])
    print(json.dumps(found) if options.json else "  ".join(f"{k}={v}" for k, v in found.items()), flush=True)


@contextmanager
def ended(env: dict[str, str]) -> Iterator[Callable[[], int]]:
    """Gives what counts the executions that have ended, as they are stored; without Django, because it shares the cores
    with what is measured.
    """
    url = env["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as database:
            yield lambda: int(database.execute(_ENDED).fetchone()[0])
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            yield lambda: int((connection.execute(_ENDED).fetchone() or [0])[0])


def wait_until_ended(env: dict[str, str], count: int, *, seconds: float) -> float:
    """Wait until so many executions have ended, or for so long; returns the time (Unix)."""
    until = time.time() + seconds
    with ended(env) as number:
        while number() < count and time.time() < until:
            time.sleep(_LOOK_SECONDS)
    return time.time()
