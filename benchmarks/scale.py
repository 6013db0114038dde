"""A day of an installation with many jobs, a tenth of them at 09:00, the others spread over all minutes.

Time is simulated: each minute fires as soon as the one before it is done, no call is made, and every outcome is a
success. Firing, storing outcomes and retention are the product's own; nothing is planned ahead. It prints, for 09:00
and for the other minutes, how long it took until the last call of the minute could leave, and until all outcomes were
stored; the memory of the process, the size of the database for each execution, and how many executions a second
retention deletes. Run it as `python benchmarks/scale.py --jobs 100000 1000000`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.__main__ import speed
from benchmarks.fire_lag import show
from benchmarks.installation import SPREAD, empty_database, environment, manage, python

DAY = (
    SPREAD
    + """
import datetime as dt, json, os, statistics, sys, time
import time_machine
from pathlib import Path
from django.conf import settings
from django.db import connection
from executions import backends
from executions.exchanges import Exchanged
from executions.http.connection import Reply
from executions.models import Execution
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.retention import prune
from executions.targets import Outcome
from notifications.outcomes import notify_pending
from scheduler.firing import fire
from scheduler.leadership import Leader
count = int(sys.argv[1])
midnight = dt.datetime(2027, 1, 11, tzinfo=settings.SCHEDULER_ZONE)
add_spread_jobs(count, midnight)
handed = []
backends.submit = handed.extend
leader = Leader(); leader.take_over()
answer = Reply(200, "ok", head=((b"Content-Type", b"text/plain"), (b"Content-Length", b"2")))

def ended(one, now):
    request = one.deliverable.request(one.call(1))
    attempts = [{"started_at": "2027-01-11T00:00:00.000Z", "status": 200, "error": "", "duration_seconds": 0.2}]
    return Finished(one.execution_id, one.worker_id, one.job_id, one.job_name, one.scheduled_for, one.started_at, now,
                    one.target, Outcome(True, 200, "ok"), attempts, exchanged=Exchanged(request, answer))

lags, stored = {}, {}
for minute in range(1440):
    now = midnight + dt.timedelta(minutes=minute)
    with time_machine.travel(now + dt.timedelta(milliseconds=1), tick=False):
        began = time.perf_counter()
        fire(leader)
        lags[minute] = time.perf_counter() - began
        outcomes = [ended(one, now) for one in handed]
        handed.clear()
        began = time.perf_counter()
        for start in range(0, len(outcomes), 1000):
            store(outcomes[start:start + 1000])
        while notify_pending():
            continue
        stored[minute] = lags[minute] + time.perf_counter() - began
    if minute % 60 == 59 and sys.stderr.isatty():
        print(f"{minute // 60 + 1} of 24 hours", end="\\r", file=sys.stderr)
made = Execution.objects.count()
if connection.vendor == "sqlite":
    size = Path(settings.DATABASES["default"]["NAME"]).stat().st_size
else:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
memory = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
settings.EXECUTIONS_KEPT_DAYS = 1
with time_machine.travel(midnight + dt.timedelta(days=3), tick=False):
    began = time.perf_counter()
    gone = prune()
    took = time.perf_counter() - began
others = [minute for minute in range(1440) if minute != 540]
print(json.dumps({
    "jobs": count,
    "executions": made,
    "lag_at_0900": round(lags[540], 2),
    "lag_p50": round(statistics.median(lags[one] for one in others), 3),
    "lag_longest": round(max(lags[one] for one in others), 3),
    "stored_at_0900": round(stored[540], 2),
    "stored_p50": round(statistics.median(stored[one] for one in others), 3),
    "memory_mib": round(memory),
    "database_kb_per_execution": round(size / 1024 / made, 2),
    "retention_per_second": round(gone / took),
    "kept": made - gone,
}))
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100_000])
    parser.add_argument("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite"])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    show({"machine_seconds": round(speed(), 3)}, options.json)
    for kind in options.database:
        for count in options.jobs:
            with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder, empty_database(kind) as url:
                env = environment(folder, url)
                manage(env, "migrate", "-v0")
                show({"database": kind, **json.loads(python(env, DAY, str(count)))}, options.json)


if __name__ == "__main__":
    main()
