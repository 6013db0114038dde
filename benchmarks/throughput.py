"""Executions a second, end to end, of a backlog that never runs dry.

Seeds N jobs that are due already and call a target on loopback, starts the scheduler, and prints executions a second
from the first call until all outcomes are stored, with the scheduler's CPU time an execution; with `--peers` also what
one Celery worker does with as many messages waiting in Redis (its results are not stored at all). Run it as `python
benchmarks/throughput.py --jobs 20000`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import peers
from benchmarks.fire_lag import LONGEST_SECONDS, READ, SEED, show
from benchmarks.installation import ROOT, cpu_seconds, environment, manage, python, wait_until_ended
from benchmarks.target import running_target, take_report

MAKE_DUE = (
    "from jobs.models import Job; from django.utils import timezone; Job.objects.update(next_run_at=timezone.now())"
)
# It comes again next year.
ONCE = "0 0 1 1 *"


def run(count: int, delay: float, database_url: str | None = None) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder, running_target(delay) as (target, port):
        env = environment(folder, database_url)
        manage(env, "migrate", "-v0")
        python(env, SEED.replace("* * * * *", ONCE), str(count), port)
        python(env, MAKE_DUE)
        scheduler = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "runscheduler"], env=env, cwd=ROOT)
        wait_until_ended(env, 1, seconds=LONGEST_SECONDS)
        before = cpu_seconds(scheduler.pid)
        stored_at = wait_until_ended(env, count, seconds=LONGEST_SECONDS)
        used = cpu_seconds(scheduler.pid) - before
        scheduler.terminate()
        scheduler.wait()
        arrivals = take_report(target)
        rows = json.loads(python(env, READ))
    return {
        "executions": len(rows),
        "failed": sum(row[0] != "success" for row in rows),
        "executions_per_second": round(len(rows) / (stored_at - min(moment for moment, _ in arrivals)), 1),
        "cpu_ms_per_execution": round(1000 * used / len(rows), 3),
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
