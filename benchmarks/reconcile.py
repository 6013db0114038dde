"""How long reconciliation takes, beside APScheduler loading the same jobs from django-apscheduler's store.

For each number of active jobs (on a hundredth as many expressions): a full pass, a full pass with nothing to do, an
incremental pass after one new job, and the process's peak memory; with `--calendars 5` all jobs move to open days of so
many business calendars, and ten windows are open. Run it as `python benchmarks/reconcile.py --jobs 1000 10000 100000`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.installation import environment, manage, python

SEED = """
import datetime as dt, sys
from jobs import calendars
from jobs.models import Job
from jobs.services import add_jobs
from taxonomy.models import Category, PicTeam
count, calendar_count = int(sys.argv[1]), int(sys.argv[2])
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
named = [calendars.create({"name": f"Office {n}", "country": "JP"}) for n in range(calendar_count)]
if named:
    from windows import services
    for n in range(10):
        services.create({"name": f"Window {n}", "teams": ["bench"], "hosts": [f"h{n}.example.com"]}, by=None)
expressions = [f"{n % 60} {n // 60 % 24} {n // 1440 % 28 + 1} * *" for n in range(max(1, count // 100))]
for start in range(0, count, 10_000):
    add_jobs([
        Job(name=f"job {n}", cron_expression=expressions[n % len(expressions)], target_url="https://x.example.com/",
            category=general, pic_team=team, end_date=dt.date(2099, 12, 31),
            **({"calendar": named[n % len(named)], "on_closed_day": "previous_open"} if named else {}))
        for n in range(start, min(count, start + 10_000))
    ], by=None)
"""
MEASURE = """
import json, resource, sys, threading, time
from jobs.models import Job
from jobs.services import add_jobs
from scheduler.clock import Clock
from scheduler.reconcile import Reconciler
def timed(call):
    started = time.perf_counter(); call(); return round(1000 * (time.perf_counter() - started), 1)
clock = Clock(threading.Event()); clock.start()
reconciler = Reconciler(clock)
found = {"full_ms": timed(reconciler.full), "full_again_ms": timed(reconciler.full)}
job = Job.objects.first()
job.pk, job.name, job.cron_expression = None, "new", "59 23 31 12 *"
job._state.adding = True
import uuid
job.id = uuid.uuid4()
add_jobs([job], by=None)
found["incremental_ms"] = timed(reconciler.incremental)
found["nothing_changed_ms"] = timed(reconciler.incremental)
started = time.process_time(); time.sleep(2)
found["idle_cpu_percent"] = round(50 * (time.process_time() - started), 2)
found["peak_memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
clock.stop()
print(json.dumps(found))
"""
PEER = """
import json, sys, time
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from django_apscheduler.jobstores import DjangoJobStore
from jobs.models import Job
def work(): pass
import builtins
from scheduler.clock import wake
scheduler = BackgroundScheduler(); scheduler.add_jobstore(DjangoJobStore(), "default"); scheduler.start(paused=True)
started = time.perf_counter()
for pk, expression in Job.objects.values_list("pk", "cron_expression")[:1000]:
    scheduler.add_job(wake, CronTrigger.from_crontab(expression), id=str(pk), replace_existing=True)
print(json.dumps({"peer_add_1000_jobs_ms": round(1000 * (time.perf_counter() - started), 1)}))
scheduler.shutdown(wait=False)
"""


def run(count: int, calendars: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder:
        env = environment(folder)
        manage(env, "migrate", "-v0")
        python(env, SEED, str(count), str(calendars))
        found: dict[str, float] = json.loads(python(env, MEASURE).splitlines()[-1])
        return {"jobs": count, "calendars": calendars, **found, **json.loads(python(env, PEER).splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--calendars", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for count in options.jobs:
        found = run(count, options.calendars)
        print(json.dumps(found) if options.json else "  ".join(f"{k}={v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
