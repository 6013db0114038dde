"""How late calls leave when N jobs are due at one instant.

Seeds N every-minute jobs that call a target on loopback (50 ms to answer), runs the scheduler through one fire time,
and prints: the lag from the fire time to each call's arrival (p50, p99, last), missed and doubled calls, when all
outcomes were stored, executions a second, the scheduler's CPU time for one, and its peak memory; with `--calendar` all
jobs have a business calendar; with `--requests` also with headers, a variable and a signature; with `--peers` the
same for Celery beat and APScheduler. Run it as `make bench` or
`python benchmarks/fire_lag.py --jobs 1000 10000`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import peers
from benchmarks.installation import ROOT, cpu_seconds, environment, manage, python, wait_until_ended
from benchmarks.target import running_target, take_report

SEED = """
import datetime as dt, sys
from jobs import calendars
from jobs.models import Job
from jobs.services import add_jobs
from taxonomy.models import Category, PicTeam
count, ports, more = int(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
rule = {}
if "requests" in more:
    from settings_app.models import WebhookCredential
    secret = "whsec_" + "a2V5" * 12
    rule = {
        "templated": True, "headers": {"Accept": "application/json", "X-Team": "bench"},
        "metadata": {"for": "{{ scheduled_for }}"},
        "webhook_credential": WebhookCredential.objects.create(
            name="signed", kind="hmac", secret=secret, allowed_hosts="127.0.0.1"
        ),
    }
if "calendar" in more:
    # Every day is open but one far away, so that as many jobs fire as without it.
    days = [{"date": "2098-01-02", "is_open": False}]
    office = calendars.create({"name": "Office", "weekend_days": [], "days": days})
    rule |= {"calendar": office, "on_closed_day": "skip"}
add_jobs([
    Job(name=f"job {n}", cron_expression="* * * * *", target_url=f"http://127.0.0.1:{ports[n % len(ports)]}/{n}",
        category=general, pic_team=team, end_date=dt.date(2099, 12, 31), **rule)
    for n in range(count)
], by=None)
"""
READ = """
import json
from executions.models import Execution
rows = Execution.objects.order_by().values_list("status", "scheduled_for")
print(json.dumps([[s, f.timestamp() if f else None] for s, f in rows]))
"""
# So long after its fire time, what has not ended is missed.
LONGEST_SECONDS = 60.0

PEERS = {"Celery beat, Redis": peers.celery_beat, "APScheduler, DjangoJobStore": peers.apscheduler}


@dataclass
class Figures:
    """One run's figures; times in seconds, memory in MiB. `cpu_ms_per_execution`: the CPU time of the scheduler from
    10.5 s before the fire time until everything is stored; `cpu_ms_ahead`: the part of it until 0.5 s before.
    """

    jobs: int
    p50: float
    p99: float
    last_call: float
    last_stored: float
    missed: int
    doubled: int
    failed: int
    executions_per_second: float
    cpu_ms_per_execution: float
    cpu_ms_ahead: float
    peak_memory_mib: float


def run(count: int, database_url: str | None = None, *, more: Sequence[str] = (), hosts: int = 1) -> Figures:
    """One fire time of `count` jobs that call so many hosts."""
    with (
        tempfile.TemporaryDirectory(prefix="cronsched-bench-") as folder,
        running_target(0.05, hosts) as (target, ports),
    ):
        env = environment(folder, database_url)
        manage(env, "migrate", "-v0")
        python(env, SEED, str(count), ports, *more)
        # The scheduler starts well before a fire time, and that fire time is the one that is measured. On a slow
        # machine its start and the drafts of signed requests take more than ten seconds.
        time.sleep((60 - time.time() % 60 + 35) % 60)
        fire_time = (time.time() // 60 + 1) * 60
        python(
            env,
            "from jobs.models import Job; import datetime as dt\n"
            f"Job.objects.update(next_run_at=dt.datetime.fromtimestamp({fire_time}, dt.UTC))",
        )
        scheduler = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "runscheduler"], env=env, cwd=ROOT)
        # What is planned ahead is planned in these seconds.
        time.sleep(max(0.0, fire_time - 10.5 - time.time()))
        started = cpu_seconds(scheduler.pid)
        time.sleep(max(0.0, fire_time - 0.5 - time.time()))
        planned = cpu_seconds(scheduler.pid)
        time.sleep(max(0.0, fire_time - time.time()))
        stored_at = wait_until_ended(env, count, seconds=LONGEST_SECONDS)
        used = cpu_seconds(scheduler.pid)
        peak = peak_memory(scheduler.pid)
        scheduler.terminate()
        scheduler.wait()
        arrivals = take_report(target)
        rows = json.loads(python(env, READ))
    cpu = used - started, planned - started
    return figures(count, fire_time, arrivals, rows, stored_at - fire_time, cpu, peak)


def figures(
    count: int,
    fire_time: float,
    arrivals: list[tuple[float, str]],
    rows: list[list[object]],
    stored: float,
    cpu: tuple[float, float],
    peak: float,
) -> Figures:
    lags = peers.lags(arrivals, fire_time)
    calls = Counter(path for moment, path in arrivals if moment >= fire_time)
    fired = [row for row in rows if row[1] == fire_time]
    return Figures(
        jobs=count,
        p50=lags["p50"],
        p99=lags["p99"],
        last_call=lags["last_call"],
        last_stored=round(stored, 2),
        missed=count - len(calls),
        doubled=sum(number - 1 for number in calls.values()) + max(0, len(fired) - count),
        failed=sum(row[0] != "success" for row in fired),
        executions_per_second=round(len(fired) / stored, 1),
        cpu_ms_per_execution=round(1000 * cpu[0] / count, 3),
        cpu_ms_ahead=round(1000 * cpu[1] / count, 3),
        peak_memory_mib=round(peak, 1),
    )


def peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--database-url", help="an empty PostgreSQL database in place of SQLite")
    parser.add_argument("--calendar", action="store_true", help="give all jobs a business calendar")
    parser.add_argument(
        "--requests", action="store_true", help="also with headers, one variable and an HMAC signature, and the ratios"
    )
    parser.add_argument("--peers", action="store_true", help="also the peers, with ratios of their figures to ours")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for count in options.jobs:
        more = ["calendar"] if options.calendar else []
        ours = asdict(run(count, options.database_url, more=more))
        show({"who": "cronsched", **ours}, options.json)
        if options.requests:
            full = asdict(run(count, options.database_url, more=[*more, "requests"]))
            ratios = {
                f"{key}_ratio": round(full[key] / ours[key], 2) for key in ("p50", "p99", "last_call") if ours[key]
            }
            show({"who": "cronsched, signed requests", **full, **ratios}, options.json)
        for name, peer in PEERS.items() if options.peers else ():
            found = peer(count)
            ratios = {
                f"{key}_ratio": round(found[key] / ours[key], 1) for key in ("p50", "p99", "last_call") if ours[key]
            }
            show({"who": name, "jobs": count, **found, "missed": count - found["called"], **ratios}, options.json)


def show(found: dict[str, object], as_json: bool) -> None:
    print(json.dumps(found) if as_json else "  ".join(f"{k}={v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
