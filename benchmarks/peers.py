"""The best peers that can be installed, doing the same work on the same machine: their figures stand beside ours.

Celery: beat with django-celery-beat's DatabaseScheduler, Redis, one worker of `CONCURRENCY` threads. APScheduler:
BackgroundScheduler with django-apscheduler's store and 100 threads, without a misfire limit (with its default of 1 s
most of the calls are dropped).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.installation import ROOT
from benchmarks.redis_server import redis_server
from benchmarks.target import running_target, take_report

CONCURRENCY = 100
_LONGEST_SECONDS = 300.0
_APP = [sys.executable, "-m", "benchmarks.peer_app"]
_CELERY = [sys.executable, "-m", "celery", "-A", "benchmarks.peer_app:app"]


def lags(arrivals: list[tuple[float, str]], fire_time: float) -> dict[str, float]:
    """Seconds from a fire time to the arrivals of one call each, in order: p50, p99, last; and calls that are missing
    from it.
    """
    firsts: dict[str, float] = {}
    for moment, path in arrivals:
        if moment >= fire_time:
            firsts.setdefault(path, moment - fire_time)
    found = sorted(firsts.values()) or [0.0]
    return {
        "p50": round(found[len(found) // 2], 3),
        "p99": round(found[int(len(found) * 0.99)], 3),
        "last_call": round(found[-1], 3),
        "called": len(firsts),
        "doubled": sum(
            number > 1
            for number in Counter(path for at, path in arrivals if fire_time <= at < fire_time + 59).values()
        ),
    }  # fmt: skip


def celery_beat(count: int, delay: float = 0.05) -> dict[str, float]:
    """`count` every-minute tasks through one fire time."""
    with _peer(delay) as (env, target), redis_server(env["PEER_FOLDER"]) as broker:
        env["PEER_BROKER"] = broker
        subprocess.run([*_APP, "seed", str(count)], env=env, cwd=ROOT, check=True)
        worker = _start_worker(env)
        _to_second(45)
        fire_time = (time.time() // 60 + 1) * 60
        beat = subprocess.Popen([*_CELERY, "beat", "-l", "ERROR"], env=env, cwd=env["PEER_FOLDER"])
        _wait_for_calls(env, count, fire_time)
        for process in (beat, worker):
            process.kill()
            process.wait()
        return lags(take_report(target), fire_time)


def celery_worker(count: int, delay: float) -> float:
    """Executions a second of a worker alone, with `count` messages waiting."""
    with _peer(delay) as (env, target), redis_server(env["PEER_FOLDER"]) as broker:
        env["PEER_BROKER"] = broker
        subprocess.run([*_APP, "send", str(count)], env=env, cwd=ROOT, check=True)
        worker = _start_worker(env)
        _wait_for_calls(env, count, time.time())
        worker.kill()
        worker.wait()
        return rate(take_report(target))


def apscheduler(count: int, delay: float = 0.05) -> dict[str, float]:
    """`count` every-minute jobs through one fire time."""
    with _peer(delay) as (env, target):
        scheduler = subprocess.Popen(
            [*_APP, "apscheduler", str(count)], env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert scheduler.stdin
        assert scheduler.stdout
        scheduler.stdout.readline()
        _to_second(50)
        fire_time = (time.time() // 60 + 1) * 60
        scheduler.stdin.write(b"go\n")
        scheduler.stdin.flush()
        _wait_for_calls(env, count, fire_time)
        scheduler.kill()
        scheduler.wait()
        # Jobs were stored before their first minute: what was due then is run at once, before the fire time.
        return lags(take_report(target), fire_time)


def rate(arrivals: list[tuple[float, str]]) -> float:
    """Calls a second from the first to the last."""
    moments = [moment for moment, _ in arrivals]
    return round(len(moments) / (max(moments) - min(moments)), 1)


@contextlib.contextmanager
def _peer(delay: float) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    with tempfile.TemporaryDirectory(prefix="cronsched-peer-") as folder, running_target(delay) as (target, port):
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "benchmarks.peer_app",
            "PEER_FOLDER": folder,
            "PEER_TARGET": f"http://127.0.0.1:{port}",
        }
        subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=env, cwd=ROOT, check=True)
        yield env, target


def _start_worker(env: dict[str, str]) -> subprocess.Popen[bytes]:
    options = ["-P", "threads", "-c", str(CONCURRENCY), "-l", "ERROR", "--without-gossip", "--without-mingle"]
    return subprocess.Popen(
        [*_CELERY, "worker", *options], env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _to_second(second: int) -> None:
    """Wait until the clock shows that second of a minute."""
    time.sleep((60 - time.time() % 60 + second) % 60)


def _wait_for_calls(env: dict[str, str], count: int, since: float) -> None:
    """Wait until the target has counted as many calls since then."""
    import requests

    deadline = since + _LONGEST_SECONDS
    while time.time() < deadline:
        time.sleep(0.5)
        if int(requests.get(f"{env['PEER_TARGET']}/count?since={since}", timeout=30).text) >= count:
            return
