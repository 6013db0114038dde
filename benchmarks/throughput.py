"""Executions a second, end to end, of a backlog that never runs dry.

Seeds N jobs that are due already and call a target on loopback, starts the scheduler, and prints executions a second
from the first call to the last stored outcome, with the scheduler's CPU time an execution; with `--peers` also what
one Celery worker does with as many messages waiting in Redis (its results are not stored at all). Run it as `python
benchmarks/throughput.py --jobs 20000`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import peers
from benchmarks.fire_lag import READ, SEED, show
from benchmarks.installation import ROOT, environment, manage, python
from benchmarks.target import running_target, take_report

MAKE_DUE = (
    "from jobs.models import Job; from django.utils import timezone; Job.objects.update(next_run_at=timezone.now())"
)
DONE = "from executions.models import Execution; print(Execution.objects.exclude(completed_at=None).count())"


def run(count: int, delay: float, database_url: str | None = None) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder, running_target(delay) as (target, port):
        env = environment(folder, database_url)
        manage(env, "migrate", "-v0")
        python(env, SEED, str(count), str(port))
        python(env, MAKE_DUE)
        scheduler = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "runscheduler"], env=env, cwd=ROOT)
        time.sleep(2 + count / 4000)
        while int(python(env, DONE)) < count:
            time.sleep(2)
        scheduler.terminate()
        _, _, used = os.wait4(scheduler.pid, 0)
        scheduler.returncode = 0
        arrivals = take_report(target)
        rows = json.loads(python(env, READ))
    seconds = max(row[2] for row in rows) - min(moment for moment, _ in arrivals)
    return {
        "executions": len(rows),
        "failed": sum(row[0] != "success" for row in rows),
        "executions_per_second": round(len(rows) / seconds, 1),
        "cpu_ms_per_execution": round(1000 * (used.ru_utime + used.ru_stime) / len(rows), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[20_000])
    parser.add_argument("--delay", type=float, default=0.005, help="seconds that the target takes to answer")
    parser.add_argument("--database-url", help="an empty PostgreSQL database in place of SQLite")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for count in options.jobs:
        ours = run(count, options.delay, options.database_url)
        show({"who": "cronsched", **ours}, options.json)
        if options.peers:
            rate = peers.celery_worker(count, options.delay)
            ratio = round(rate / float(str(ours["executions_per_second"])), 2)
            show({"who": "Celery worker, Redis", "executions_per_second": rate, "ratio": ratio}, options.json)


if __name__ == "__main__":
    main()
