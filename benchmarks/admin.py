"""How long the admin's pages take with many jobs and a long history.

Seeds like `benchmarks/api.py`, serves with gunicorn, logs in, and times each page over HTTP (median and worst of 15
after a warm-up). Run it as `python benchmarks/admin.py --jobs 100000 --executions 1000000`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.api import PASSWORD, SEED, Api, wait
from benchmarks.installation import ROOT, environment, manage, python

PORT = 5057
PAGES = {
    "dashboard": "/",
    "dashboard, refreshed": "/dashboard/",
    "jobs": "/jobs/job/",
    "jobs, failing": "/jobs/job/?attention=failing",
    "jobs, searched: 1 in 100": "/jobs/job/?q=job+99",
    "jobs, searched: one": "/jobs/job/?q=job+99998",
    "jobs, searched: none": "/jobs/job/?q=nothing+like+it",
    "executions": "/executions/execution/",
    "executions, failed": "/executions/execution/?status__exact=failed",
    "executions, one day": "/executions/execution/?when=today",
    "calendar, day": "/calendar/",
    "calendar, week": "/calendar/?view=week",
    "audit trail": "/audit/changerecord/",
    "PIC teams": "/taxonomy/picteam/",
    "users": "/accounts/user/",
    "job form": "/jobs/job/add/",
    "a job": "/jobs/job/{job}/",
    "an execution": "/executions/execution/{execution}/change/",
}


class Admin(Api):
    """A logged-in browser session, without the browser."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        page = self.session.get(base + "/login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        answer = self.session.post(base + "/login/", form, headers={"Referer": base + "/login/"}, timeout=60)
        assert "Dashboard" in answer.text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--database-url", help="an empty PostgreSQL database in place of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder:
        env = environment(folder, options.database_url) | {
            "CRONSCHED_ADMIN_PASSWORD": PASSWORD,
            "PORT": str(PORT),
            "WEB_WORKERS": "1",
        }
        manage(env, "setup")
        python(env, SEED, str(options.jobs), str(options.executions), "0", "200")
        newest = "from executions.models import Execution; one = Execution.objects.newest_first()[0]; "
        newest += "print(one.job_id, one.pk)"
        job, execution = python(env, newest).split()
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi"], cwd=ROOT, env=env
        )
        try:
            base = f"http://127.0.0.1:{PORT}/admin"
            wait(lambda: requests.get(base + "/login/", timeout=5).ok)
            admin = Admin(base)
            print(f"{options.jobs} jobs, {options.executions} executions")
            for name, path in PAGES.items():
                found = admin.timed(path.format(job=job, execution=execution))
                print(
                    f"  {name:24} median {found['median_ms']:8.1f} ms   worst {found['worst_ms']:8.1f} ms", flush=True
                )
        finally:
            web.terminate()
            web.wait()


if __name__ == "__main__":
    main()
