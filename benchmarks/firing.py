"""What firing costs, without any call: jobs that are due at one instant, with and without a business calendar.

Both kinds alternate in one process, so that a busy machine disturbs both alike. It prints the CPU time of `fire()`:
reading the due jobs, deciding, inserting executions, advancing. Run it as
`python benchmarks/firing.py --jobs 10000 --rounds 9`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.installation import by_rounds

MEASURE = """
import datetime as dt, json, statistics, sys, time
import time_machine
from executions import backends
from executions.models import Execution
from jobs import calendars
from jobs.models import Job
from jobs.services import add_jobs
from scheduler.firing import fire
from scheduler.leadership import Leader
from taxonomy.models import Category, PicTeam
count, rounds = int(sys.argv[1]), int(sys.argv[2])
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
office = calendars.create({"name": "Office", "country": "JP"})
kinds = {"plain": {}, "calendar": {"calendar": office, "on_closed_day": "next_open"}}
expressions = [f"{n % 60} 9 * * *" for n in range(50)]
for kind, fields in kinds.items():
    for start in range(0, count, 10_000):
        add_jobs([
            Job(name=f"{kind} {n}", cron_expression=expressions[n % 50], target_url="https://x.example.com/",
                category=general, pic_team=team, end_date=dt.date(2099, 12, 31), **fields)
            for n in range(start, min(count, start + 10_000))
        ], by=None)
backends.submit = lambda deliveries: None
leader = Leader(); leader.take_over()
found = {kind: [] for kind in kinds}
day = dt.datetime(2027, 1, 4, tzinfo=dt.UTC)
for number in range(rounds + 1):
    for kind in kinds if number % 2 else reversed(kinds):
        day += dt.timedelta(days=1)
        Job.objects.update(next_run_at=None)
        Job.objects.filter(name__startswith=kind).update(next_run_at=day)
        with time_machine.travel(day + dt.timedelta(milliseconds=5), tick=False):
            began = time.process_time()
            fire(leader)
            took = time.process_time() - began
        assert Execution.objects.count() == count, Execution.objects.count()
        Execution.objects.all()._raw_delete("default")
        if number:
            found[kind].append(took)
medians = {kind: statistics.median(values) for kind, values in found.items()}
best = {kind: min(values) for kind, values in found.items()}
print(json.dumps({
    "jobs": count,
    **{f"{kind}_cpu_ms": round(1000 * value, 1) for kind, value in medians.items()},
    **{f"{kind}_least_cpu_ms": round(1000 * value, 1) for kind, value in best.items()},
    "ratio_of_medians": round(medians["calendar"] / medians["plain"], 3),
    "ratio_of_least": round(best["calendar"] / best["plain"], 3),
}))
"""

if __name__ == "__main__":
    by_rounds(__doc__, MEASURE, rounds=9)
