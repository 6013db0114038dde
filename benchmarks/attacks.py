"""What attackers take from everybody else: idle and slow connections, hostile targets, and memory.

Serves an installation of its own with gunicorn, as `make run` does, and prints for each attack the median and the worst
time of a health check, a login and the job list (seconds), what a webhook takes beside ten hostile targets
(milliseconds), the memory of the web processes at the start, before and after many odd requests (MiB), and the longest
that an honest client waited beside these. Run it as `make bench-security` or
`python -m benchmarks.attacks --connections 500 --requests 1000000`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import requests

from benchmarks.installation import ROOT, environment, manage, python

PASSWORD = "benchmark password 1"
HEAD = b"Host: 127.0.0.1\r\n"
IDLE = b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"X-A: "
SLOW = b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n{"
SEED = """
import datetime as dt
from jobs.models import Job
from jobs.services import add_jobs
from taxonomy.models import Category, PicTeam
team = PicTeam.objects.create(name="Bench", slug="bench", slack_handle="@bench")
general = Category.objects.get(slug="general")
add_jobs([Job(name=f"job {n}", cron_expression="0 0 1 1 *", target_url=f"https://hooks.example.com/{n}",
              category=general, pic_team=team, end_date=dt.date(2099, 12, 31)) for n in range(1000)], by=None)
"""
HOSTILE = """
import asyncio, statistics, sys, time
from uuid import uuid4
from executions.http.client import HttpClient, Request
from executions.http.connection import DeliveryError
async def main():
    client, port = HttpClient(), sys.argv[1]
    async def call(path):
        began = time.perf_counter()
        try:
            await client.send(Request("GET", f"http://127.0.0.1:{port}{path}", {"Idempotency-Key": str(uuid4())}), 10)
        except DeliveryError:
            pass
        return (time.perf_counter() - began) * 1000
    async def hostile(kind):
        while True:
            await call(f"/{kind}")
    usual = [await call("/good") for _ in range(200)]
    tasks = [asyncio.create_task(hostile(kind)) for kind in sys.argv[2].split(",")]
    await asyncio.sleep(0.5)
    beside = [await call("/good") for _ in range(200)]
    for task in tasks:
        task.cancel()
    print(f"{statistics.median(usual):.1f} {max(usual):.1f} {statistics.median(beside):.1f} {max(beside):.1f}")
asyncio.run(main())
"""
ANSWERS = {
    "type": b'HTTP/1.1 200 OK\r\nContent-Type: text/plain; x="' + b";" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "many": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_000 + b"Content-Length: 2\r\n\r\nok",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n",
    "large": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"\xff" * 1_000_000,
    "garbage": os.urandom(60_000),
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 1_000 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        env = environment(folder) | {"CRONSCHED_ADMIN_PASSWORD": PASSWORD, "PORT": str(port), "LOG_LEVEL": "ERROR"}
        env["LOGIN_FAILURES_ALLOWED"] = "1000000"
        manage(env, "setup")
        python(env, SEED)
        with served(env, port) as process:
            probes = Probes(port)
            probes.report("nobody else")
            start = memory(process)
            with holding(port, options.connections, IDLE):
                probes.report(f"{options.connections} idle half requests")
                with holding(port, options.connections, SLOW, drip=True):
                    probes.report(f"and {options.connections} slow bodies")
            with holding(port, options.connections, b"GET /api/v2/openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n"):
                probes.report(f"{options.connections} readers that read nothing")
            before = memory(process)
            with probes.repeated():
                odd_requests(port, options.requests)
            after = memory(process)
            told = f"{start:.0f} MiB at the start, {before:.0f} before, {after:.0f} after"
            print(f"{options.requests} odd requests: {told}, {after / start:.2f} times the start", flush=True)
        hostile(env)


@contextlib.contextmanager
def served(env: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Gunicorn, once it answers."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi"]
    process = subprocess.Popen(command, env=env, cwd=ROOT)
    try:
        while True:
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"http://127.0.0.1:{port}/api/v2/health", timeout=5)
                break
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


class Probes:
    """An honest client."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v2"
        self._login = {"username": "admin", "password": PASSWORD}
        token = requests.post(f"{self._base}/auth/login", json=self._login, timeout=30).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def _calls(self) -> dict[str, Callable[[], requests.Response]]:
        return {
            "health": lambda: requests.get(f"{self._base}/health", timeout=10),
            "login": lambda: requests.post(f"{self._base}/auth/login", json=self._login, timeout=10),
            "job list": lambda: requests.get(f"{self._base}/jobs", headers=self._headers, timeout=10),
        }

    def report(self, beside: str) -> None:
        """Print what ten calls of each kind take."""
        self._print(beside, {name: [_seconds(call) for _round in range(10)] for name, call in self._calls().items()})

    @contextlib.contextmanager
    def repeated(self) -> Iterator[None]:
        """Call each kind every second or so, and print at the end what they took."""
        took: dict[str, list[float]] = {name: [] for name in self._calls()}
        over = threading.Event()

        def call_all() -> None:
            while not over.wait(1):
                for name, call in self._calls().items():
                    took[name].append(_seconds(call))

        thread = threading.Thread(target=call_all)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._print(f"beside odd requests, {len(took['health'])} times", took)

    def _print(self, beside: str, took: dict[str, list[float]]) -> None:
        figures = [f"{name} {statistics.median(each):.3f} / {max(each):.3f}" for name, each in took.items()]
        print(f"{beside}: " + ", ".join(figures), flush=True)


def _seconds(call: Callable[[], requests.Response]) -> float:
    began = time.perf_counter()
    try:
        assert call().status_code == 200
    except requests.RequestException:
        return float("inf")
    return time.perf_counter() - began


@contextlib.contextmanager
def holding(port: int, count: int, raw: bytes, *, drip: bool = False) -> Iterator[None]:
    """Connections that have sent this; with `drip`, a byte more every half second."""
    held: list[socket.socket] = []
    over = threading.Event()

    def dripping() -> None:
        while not over.wait(0.5):
            for sock in held:
                with contextlib.suppress(OSError):
                    sock.send(b" ")

    for _number in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", port))
        sock.sendall(raw)
        held.append(sock)
    if drip:
        threading.Thread(target=dripping, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        for sock in held:
            sock.close()


def memory(process: subprocess.Popen[bytes]) -> float:
    """MiB of all web processes."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return float(sum(one.memory_info().rss for one in family)) / 2**20


def odd_requests(port: int, count: int) -> None:
    """Requests of all odd kinds, from four clients, the same at each run."""
    chosen = random.Random(1)
    kinds: list[Callable[[requests.Session, int], object]] = [
        lambda s, n: s.get(f"{base}/jobs/{n}"),
        lambda s, n: s.get(f"{base}/jobs?search={'x' * (n % 500)}{n}", headers={"Authorization": f"Bearer csk_{n}"}),
        lambda s, n: s.post(f"{base}/auth/refresh", headers={"Authorization": f"Bearer {n}.{n}.{n}"}),
        lambda s, n: s.post(f"{base}/jobs/test-run", data=b"{" * (n % 3_000)),
        lambda s, n: s.get(f"{base}/../{n}/%2e%2e/%00", headers={"X-Forwarded-For": f"10.0.{n % 250}.1"}),
        lambda s, n: s.get(f"http://127.0.0.1:{port}/extend/{n}x/"),
        lambda s, n: s.options(f"{base}/{n}", headers={"Origin": f"https://{n}.example"}),
    ]
    base = f"http://127.0.0.1:{port}/api/v2"
    plan = [chosen.choice(kinds) for _number in range(count)]

    def work(part: int) -> None:
        with requests.Session() as session:
            for number in range(part, count, 4):
                with contextlib.suppress(requests.RequestException):
                    plan[number](session, number)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hostile(env: dict[str, str]) -> None:
    """What a call of a good target takes beside ten hostile ones, in one event loop."""
    answers = {**ANSWERS, "good": GOOD}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readuntil(b"\r\n\r\n"):
                writer.write(answers[line.split(b" ")[1].decode().strip("/")])
                await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    threading.Thread(target=loop.run_forever, daemon=True).start()
    kinds = [list(ANSWERS)[number % len(ANSWERS)] for number in range(10)]
    usual, worst, beside, worst_beside = python(env, HOSTILE, str(port), ",".join(kinds)).split()
    print(f"a webhook alone: {usual} ms, at most {worst}; beside ten hostile targets: {beside}, at most {worst_beside}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
