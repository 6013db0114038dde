"""Executions a second through Celery with 1, 2 and 4 workers, fire lag at one instant, and Celery beat beside it.

Starts PostgreSQL, Redis, one scheduler and the workers on this machine, all of them real. For each number of workers:
N jobs that are due already, from the first call to the last stored outcome, with the CPU time of an execution over
all our processes; then the lag of `--lag` jobs that are due at one minute. With `--peers` Celery beat with
django-celery-beat does the latter too, one task a job. Run it as `python benchmarks/cluster.py --jobs 20000 --peers`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import peers
from benchmarks.fire_lag import READ, SEED, show
from benchmarks.installation import ROOT, cpu_seconds, empty_database, environment, manage, python, wait_until_ended
from benchmarks.redis_server import redis_server
from benchmarks.target import running_target, take_report
from benchmarks.throughput import MAKE_DUE, ONCE

EMPTY = (
    "from jobs.models import Job; from taxonomy.models import PicTeam; Job.objects.all().delete(); "
    "PicTeam.objects.all().delete()"
)
DUE_NOW = f"{MAKE_DUE}; from jobs.models import Revision; Revision.bump(edited=True)"
_LONGEST_SECONDS = 300.0
WORKERS = "from executions.models import Worker; print(Worker.objects.count())"


def seed(env: dict[str, str], count: int, port: str, expression: str) -> None:
    """So many jobs in an installation that holds no others, and no history."""
    python(env, EMPTY)
    python(env, SEED.replace("* * * * *", expression), str(count), port)


@contextmanager
def processes(env: dict[str, str], workers: int) -> Iterator[list[int]]:
    """A scheduler and so many workers; gives their process ids."""
    commands = ["runscheduler", *["runworker"] * workers]
    running = [
        subprocess.Popen([sys.executable, str(ROOT / "manage.py"), one], env=env, cwd=ROOT, stderr=subprocess.DEVNULL)
        for one in commands
    ]
    try:
        yield [one.pid for one in running]
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(40)


def wait_for(env: dict[str, str], code: str, count: int) -> None:
    while int(python(env, code)) < count:
        time.sleep(1)


def throughput(env: dict[str, str], count: int, workers: int, delay: float) -> dict[str, object]:
    """All jobs due at once, before anything runs."""
    with running_target(delay) as (target, port):
        seed(env, count, port, ONCE)
        with processes(env, workers) as found:
            wait_for(env, WORKERS, workers)
            time.sleep(2)
            before = cpu_seconds(*found)
            python(env, DUE_NOW)
            stored_at = wait_until_ended(env, count, seconds=_LONGEST_SECONDS)
            used = cpu_seconds(*found) - before
        arrivals = take_report(target)
        rows = json.loads(python(env, READ))
    seconds = stored_at - min(moment for moment, _ in arrivals)
    return {
        "workers": workers,
        "executions": len(rows),
        "failed": sum(row[0] != "success" for row in rows),
        "doubled_calls": len(arrivals) - len({path for _, path in arrivals}),
        "executions_per_second": round(len(rows) / seconds, 1),
        "cpu_ms_per_execution": round(1000 * used / len(rows), 3),
    }


def lag(env: dict[str, str], count: int, workers: int) -> dict[str, object]:
    """All jobs due at one minute, while everything runs."""
    with running_target(0.05) as (target, port):
        fire_time = ((time.time() + 30) // 60 + 1) * 60
        there = dt.datetime.fromtimestamp(fire_time, ZoneInfo("Asia/Tokyo"))
        seed(env, count, port, f"{there.minute} {there.hour} * * *")
        with processes(env, workers):
            wait_for(env, WORKERS, workers)
            time.sleep(max(0.0, fire_time - time.time()) + 2)
            wait_until_ended(env, count, seconds=_LONGEST_SECONDS)
        return {"workers": workers, "jobs": count, **peers.lags(take_report(target), fire_time)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--lag", type=int, default=5_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--delay", type=float, default=0.005, help="seconds that the target takes to answer")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder,
        redis_server(folder) as broker,
        empty_database("postgresql") as url,
    ):
        env = environment(folder, url) | {"EXECUTION_BACKEND": "celery", "BROKER_URL": broker}
        manage(env, "migrate", "-v0")
        for workers in options.workers:
            show({"who": "cronsched", **throughput(env, options.jobs, workers, options.delay)}, options.json)
        ours = lag(env, options.lag, 2)
        show({"who": "cronsched", **ours}, options.json)
    if options.peers:
        theirs = peers.celery_beat(options.lag)
        ratio = round(theirs["last_call"] / float(str(ours["last_call"])), 1)
        show({"who": "Celery beat, Redis", "jobs": options.lag, **theirs, "ratio_of_last_call": ratio}, options.json)


if __name__ == "__main__":
    main()
