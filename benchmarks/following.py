"""How soon the ends of workflow runs are known, and with how many requests.

Runs of one credential are open in some repositories of a stand-in for GitHub and end one after the other within
`--minutes`, a twentieth of them badly; the clock passes by hand, a look at the runs in each of its seconds. Prints the
seconds from the end of a run to the end of its execution (median, 95th percentile, longest), the requests a minute that
ask for the state of runs, and those that ask what failed. Run it as `python benchmarks/following.py --runs 2000
--repositories 50`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.installation import environment, manage, python

MEASURE = """
import datetime as dt, json, random, sys, time
import time_machine
from django.conf import settings
from demo.github_stand_in import GitHub, Run
from executions.models import Execution, Status
from executions.runs.follower import RunFollower
from jobs.models import Job
from jobs.services import add_jobs
from taxonomy.models import Category, PicTeam
from tests.support.clock import PassingTime
count, repositories, minutes = map(int, sys.argv[1:4])
random.seed(20)
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
began = dt.datetime(2026, 11, 26, 13, 0, tzinfo=dt.UTC)
with time_machine.travel(began, tick=False) as traveller:
    clock = PassingTime(traveller)
    with GitHub(now=clock.now) as github:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = github.url, "x"
        add_jobs([Job(name=f"job {n}", cron_expression="0 22 * * *", category=general, pic_team=team,
                      end_date=dt.date(2099, 12, 31), target_kind="github_actions", github_owner="acme",
                      github_repo=f"repo-{n % repositories}", github_workflow_name="e2e.yml")
                  for n in range(count)], by=None)
        executions = []
        for n, job in enumerate(Job.objects.order_by("name")):
            repo = f"acme/{job.github_repo}"
            conclusion = "failure" if n % 20 == 0 else "success"
            run = Run(1_000 + n, repo, "e2e.yml", conclusion, random.uniform(60, 60 * minutes), github.url, clock.now)
            github.runs[run.id] = run
            executions.append(Execution(job=job, status=Status.RUNNING, trigger_type="scheduled", started_at=began,
                scheduled_for=began, execution_type="github_actions", target=f"{repo}/e2e.yml", run_id=run.id,
                worker_id=None))
        Execution.objects.bulk_create(executions, batch_size=500)
        follower = RunFollower(clock.monotonic)
        asked, told, waits, wall = 0, 0, [], time.perf_counter()
        for second in range(60 * minutes + 180):
            follower.poll()
            clock.advance(1)
        wall = time.perf_counter() - wall
        state = sum("/actions/runs" in path and not path.endswith(("/jobs", "/annotations"))
                    for _, path, _ in github.calls)
        ends = {run.id: run.ends_at for run in github.runs.values()}
        for run_id, status, ended in Execution.objects.values_list("run_id", "status", "completed_at"):
            waits.append(ended.timestamp() - ends[run_id] if ended else 1e9)
        waits.sort()
print(json.dumps({"runs": count, "repositories": repositories,
    "p50_s": round(waits[len(waits) // 2], 1), "p95_s": round(waits[int(len(waits) * 0.95)], 1),
    "longest_s": round(waits[-1], 1), "state_requests_a_minute": round(state / (minutes + 3), 1),
    "what_failed_requests": len(github.calls) - state, "not_modified": sum(code == 304 for *_, code in github.calls),
    "wall_s": round(wall, 1)}))
"""


def measure(runs: int, repositories: int, minutes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        env = environment(folder)
        manage(env, "migrate", "-v0")
        found: dict[str, float] = json.loads(python(env, MEASURE, str(runs), str(repositories), str(minutes)))
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--repositories", type=int, default=50)
    parser.add_argument("--minutes", type=int, default=30)
    options = parser.parse_args()
    print(json.dumps(measure(options.runs, options.repositories, options.minutes), indent=2))
