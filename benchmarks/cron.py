"""How long the next fire time takes, beside croniter, APScheduler's CronTrigger and Celery's crontab.

Prints nanoseconds a call, median over 200 random expressions: parsed anew, asked for a new minute, asked again within
the minute. Run it as `python benchmarks/cron.py`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronsched.settings")
os.environ.setdefault("CRONSCHED_DATA_DIR", tempfile.mkdtemp(prefix="cronsched-bench-"))

from apscheduler.triggers.cron import CronTrigger
from celery import Celery
from celery.schedules import crontab
from croniter import croniter

from jobs.schedules import schedule as ours

JST = ZoneInfo("Asia/Tokyo")
CELERY = Celery(set_as_current=False)
CELERY.conf.timezone = "Asia/Tokyo"
AFTER = dt.datetime(2026, 11, 24, 12, 34, 56, tzinfo=JST)


def expressions(count: int) -> list[str]:
    chance = random.Random(1)
    return [
        f"{chance.randrange(60)} {chance.choice(['*', '*/2', str(chance.randrange(24))])} "
        f"{chance.choice(['*', '1-15'])} * {chance.choice(['*', '1-5'])}"
        for _ in range(count)
    ]


def nanoseconds(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - started) / times


def forget() -> None:
    for cached in (ours.schedule_of, ours._next, ours._iterator):
        cached.cache_clear()


def measure(texts: list[str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for text in texts:
        forget()
        schedule = ours.schedule_of(text, JST)
        trigger = CronTrigger.from_crontab(text, JST)
        cron = croniter(text, AFTER)
        beat = crontab.from_string(text)
        beat.app = CELERY

        def parsed(text: str = text) -> object:
            forget()
            return ours.schedule_of(text, JST).next(AFTER)

        def new_minute(schedule: ours.Schedule = schedule) -> object:
            ours._next.cache_clear()
            return schedule.next(AFTER)

        calls: dict[str, tuple[Callable[[], object], int]] = {
            "parsed anew": (parsed, 5),
            "new minute": (new_minute, 20),
            "same minute": (partial(schedule.next, AFTER), 200),
            "croniter": (partial(cron.get_next, dt.datetime, start_time=AFTER), 20),
            "Celery crontab": (partial(beat.remaining_estimate, AFTER), 20),
            "APScheduler CronTrigger": (partial(trigger.get_next_fire_time, None, AFTER), 20),
        }
        for name, (call, times) in calls.items():
            found.setdefault(name, []).append(nanoseconds(call, times))
    return {name: round(statistics.median(values)) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(expressions(200))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:26} {value:10,} ns   {value / found['same minute']:8.1f} x same minute")


if __name__ == "__main__":
    main()
