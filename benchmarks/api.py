"""How long the API's hot endpoints take: jobs, a long history, many notifications.

Seeds jobs, executions and events straight into a database of its own, serves it with gunicorn, and times each request
over HTTP (median and worst of 15 after a warm-up). Run it as `python benchmarks/api.py --jobs 1000 10000 --executions
1000000`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.installation import ROOT, environment, manage, python

PASSWORD = "benchmark password 1"
RUNS = 15
SEED = """
import datetime as dt, random, sys, uuid
from django.utils import timezone
from core.db.bulk import insert_new
from executions.models import Execution
from jobs.models import Job
from jobs.services import add_jobs
from notifications.models import Event
from accounts.models import User
from taxonomy.models import Category, PicTeam
from uuid_utils.compat import uuid7
jobs_count, executions_count, events_count, users_count = map(int, sys.argv[1:])
random.seed(1)
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
jobs = add_jobs([
    Job(name=f"job {n}", cron_expression=f"{n % 60} {n % 24} * * *", target_url=f"https://hooks.example.com/{n}",
    category=general,
        pic_team=team, end_date=dt.date(2099, 12, 31), metadata={"branch": "main", "number": n})
    for n in range(jobs_count)
], by=None)
now = timezone.now()
from django.db import connection
if connection.vendor == "sqlite":
    connection.cursor().execute("PRAGMA synchronous=OFF")
    connection.cursor().execute("PRAGMA cache_size=-1000000")
columns = ("id", "job", "status", "trigger_type", "scheduled_for", "started_at", "completed_at", "duration_seconds",
           "execution_type", "target", "response_status", "error_message", "output", "attempts")
span = 90 * 86400
for start in range(0, executions_count, 10_000):
    rows = []
    for n in range(start, min(start + 10_000, executions_count)):
        at = now - dt.timedelta(seconds=span * (1 - n / executions_count))
        failed = random.random() < 0.05
        rows.append((uuid.UUID(int=(int(at.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | n),
        jobs[n % jobs_count].id,
                     "failed" if failed else "success", "scheduled", at, at, at + dt.timedelta(seconds=1),
                     random.random(), "webhook",
                     "https://hooks.example.com/", 500 if failed else 200,
                     "Webhook returned status 500" if failed else "", "ok", []))
    insert_new(Execution, columns, rows)


User.objects.bulk_create(
    [User(username=f"user{n}", email=f"user{n}@example.com", password="!",
    created_at=now - dt.timedelta(days=100)) for n in range(users_count)]
)
User.objects.update(created_at=now - dt.timedelta(days=100))
for start in range(0, events_count, 5_000):
    Event.objects.bulk_create([
        Event(title="Job Completed", message=f'Job "job {n}" completed successfully.', type="success",
        job_id=jobs[n % jobs_count].id,
              created_at=now - dt.timedelta(seconds=events_count - n))
        for n in range(start, min(start + 5_000, events_count))
    ], batch_size=500)
"""


class Api:
    """A logged-in client that times what it asks."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        answer = self.session.post(base + "/auth/login", json={"username": "admin", "password": PASSWORD}, timeout=30)
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.base + path, headers=headers, timeout=60)

    def timed(self, path: str, status: int = 200, **headers: str) -> dict[str, Any]:
        times = []
        for run in range(RUNS + 1):
            started = time.perf_counter()
            answer = self.get(path, **headers)
            took = time.perf_counter() - started
            assert answer.status_code == status, (path, answer.status_code, answer.text[:200])
            if run:
                times.append(took * 1000)
        return {
            "median_ms": round(statistics.median(times), 1),
            "worst_ms": round(max(times), 1),
            "bytes": len(answer.content),
        }


def run(jobs: int, executions: int, events: int, users: int, database_url: str | None) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder:
        env = environment(folder, database_url) | {
            "CRONSCHED_ADMIN_PASSWORD": PASSWORD,
            "PORT": "5055",
            "WEB_WORKERS": "1",
        }
        manage(env, "setup")
        python(env, SEED, str(jobs), str(executions), str(events), str(users))
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi"], cwd=ROOT, env=env
        )
        try:
            base = "http://127.0.0.1:5055/api/v2"
            wait(lambda: requests.get(base + "/health", timeout=5).ok)
            return measure(Api(base))
        finally:
            web.terminate()
            web.wait()


def measure(api: Api) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    found["job list, whole"] = api.timed("/jobs")
    # An answer for a minute that is ending would be another one in the next.
    time.sleep(max(0.0, time.time() % 60 - 50))
    etag = api.get("/jobs").headers["ETag"]
    found["job list, unchanged (304)"] = api.timed("/jobs", 304, **{"If-None-Match": etag})
    found["job list, page of 50, searched"] = api.timed("/jobs?limit=50&search=job%2099")
    total = api.get("/executions?limit=20").json()
    found["executions, first page"] = api.timed("/executions?limit=20")
    found["executions, last page"] = api.timed(f"/executions?limit=20&page={total['total_pages']}")
    found["executions, failed, first page"] = api.timed("/executions?limit=20&status=failed")
    week = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 7 * 86400))
    found["statistics of 7 days"] = api.timed(f"/executions/statistics?from={week}")
    found["statistics of all"] = api.timed("/executions/statistics")
    job = api.get("/jobs?limit=1").json()["jobs"][0]["id"]
    found["one job's executions"] = api.timed(f"/jobs/{job}/executions")
    found["one job's statistics"] = api.timed(f"/jobs/{job}/executions/stats")
    found["notifications, first page"] = api.timed("/notifications")
    found["notifications, unread count"] = api.timed("/notifications/unread-count")
    api.session.put(api.base + "/notifications/read-all", timeout=30)
    found["unread count after reading all"] = api.timed("/notifications/unread-count")
    return found


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--database-url", help="an empty PostgreSQL database in place of SQLite")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for jobs in options.jobs:
        found = run(jobs, options.executions, options.events, options.users, options.database_url)
        if options.json:
            print(json.dumps({"jobs": jobs, **found}), flush=True)
            continue
        print(
            f"{jobs} jobs, {options.executions} executions, {options.events} events, {options.users} users, pid "
            f"{os.getpid()}"
        )
        for name, figures in found.items():
            print(
                f"  {name:34} median {figures['median_ms']:8.1f} ms   worst {figures['worst_ms']:8.1f} ms   "
                f"{figures['bytes']:9} bytes"
            )


if __name__ == "__main__":
    main()
