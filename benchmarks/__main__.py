"""The table of figures in one run: how late calls leave at one instant, and how many executions are recorded a second.

Each row is run `--rounds` times; its medians are printed as soon as it is done. `--beside PATH` runs the same with
another checkout in turn, so that a busy machine disturbs both alike, and prints the ratio of the last calls. The
machine's own speed is printed before and after, as the time of a fixed piece of work, so that runs on different days
compare. Run it as `make bench ARGS="--rounds 5 --database sqlite"` or `python -m benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import fire_lag, throughput
from benchmarks.installation import empty_database

HERE = Path(__file__).resolve().parent.parent
# Rows by name; each takes the URL of an empty PostgreSQL database, or None for SQLite.
ROWS: dict[str, Callable[[str | None], dict[str, Any]]] = {
    "1,000 at one instant": lambda url: vars(fire_lag.run(1_000, url)),
    "10,000 at one instant": lambda url: vars(fire_lag.run(10_000, url)),
    "10,000 over 20 hosts": lambda url: vars(fire_lag.run(10_000, url, hosts=20)),
    "50,000 at one instant": lambda url: vars(fire_lag.run(50_000, url)),
    "backlog of 20,000": lambda url: throughput.run(20_000, 0.005, url),
}
_FIGURES = (
    "p50",
    "last_call",
    "last_stored",
    "executions_per_second",
    "cpu_ms_per_execution",
    "cpu_ms_ahead",
    "peak_memory_mib",
)
_WRONG = ("missed", "doubled", "failed")


def speed() -> float:
    """Seconds of a fixed piece of work in one thread: the same text a hundred thousand times to JSON and back."""
    text = json.dumps({"numbers": list(range(20)), "name": "x" * 50})
    found = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(100_000):
            json.loads(text)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def once(name: str, kind: str) -> dict[str, Any]:
    with empty_database(kind) as url:
        return ROWS[name](url)


def at(root: Path, name: str, kind: str) -> dict[str, Any]:
    """One run of a checkout, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "--once", name, "--database", kind]
    env = {**os.environ, "CRONSCHED_BENCH_ROOT": str(root)}
    done = subprocess.run(command, env=env, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    found = {key: round(statistics.median(run[key] for run in runs), 3) for key in _FIGURES if key in runs[0]}
    return found | {key: sum(run[key] for run in runs) for key in _WRONG if key in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--beside", type=Path, help="another checkout that is measured in turn")
    parser.add_argument("--once", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(options.once, options.database[0])))
        return
    roots = {"here": HERE} | ({"beside": options.beside.resolve()} if options.beside else {})
    fire_lag.show({"machine_seconds": round(speed(), 3)}, options.json)
    for kind in options.database:
        for name in options.rows:
            runs: dict[str, list[dict[str, Any]]] = {who: [] for who in roots}
            for _ in range(options.rounds):
                for who, root in roots.items():
                    runs[who].append(at(root, name, kind))
            found = {who: medians(those) for who, those in runs.items()}
            for who, figures in found.items():
                fire_lag.show({"row": name, "database": kind, "who": who, **figures}, options.json)
            if options.beside and "last_call" in found["here"]:
                ratio = round(found["here"]["last_call"] / found["beside"]["last_call"], 2)
                fire_lag.show({"row": name, "database": kind, "last_call_ratio": ratio}, options.json)
    fire_lag.show({"machine_seconds": round(speed(), 3)}, options.json)


if __name__ == "__main__":
    main()
