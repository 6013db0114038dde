"""A whole installation as separate processes: web and schedulers, over real HTTP."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Self

import psutil
import requests

from tests.support.migrated import copy_migrated
from tests.support.target import wait_until

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PASSWORD = "an admin's long password"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client(requests.Session):
    """Calls `/api/v2` with a token; never any address but the installation's."""

    def __init__(self, base: str, token: str | None = None) -> None:
        super().__init__()
        self.trust_env = False
        # A connection that was idle may be closed by the server at the very moment of the next request.
        self.headers["Connection"] = "close"
        self.base = base
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        # A busy machine takes half a minute for 10,000 rows; only what hangs should fail.
        kwargs.setdefault("timeout", 120)
        kwargs["allow_redirects"] = False
        return super().request(method, self.base + str(url), *args, **kwargs)


def _is_suspended(pid: int) -> bool:
    try:
        threads = psutil.Process(pid).threads()
        return all(psutil.Process(thread.id).status() == psutil.STATUS_STOPPED for thread in threads)
    except psutil.NoSuchProcess:
        return False


class Installation:
    """Starts and stops the processes; `database_url` of PostgreSQL in place of the SQLite file in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        schedulers: int = 1,
        web: bool = True,
        workers: int = 0,
        env: Mapping[str, str] | None = None,
    ):
        self.folder = folder
        self.port = free_port()
        self._counts = (schedulers, web)
        self._workers = workers
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CRONSCHED_", "MAIL_", "GITHUB_"))},
            "DJANGO_SETTINGS_MODULE": "cronsched.settings",
            "CRONSCHED_DATA_DIR": str(folder),
            "CRONSCHED_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "CRONSCHED_ALLOWED_TARGETS": "127.0.0.0/8",
            "SECRET_KEY": "",
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
            "LOGIN_FAILURES_ALLOWED": "1000",
            "SCHEDULER_POLL_SECONDS": "10",
            "LOG_LEVEL": "INFO",
            **(env or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: dict[str, Client] = {}

    def prepared(self) -> Self:
        """As `setup` leaves it."""
        if "DATABASE_URL" in self.env:
            self.manage("setup")
        else:
            shutil.copytree(_fresh_folder(), self.folder, dirs_exist_ok=True)
        return self

    def __enter__(self) -> Self:
        self.prepared()
        schedulers, web = self._counts
        if web:
            self.start_web()
        for number in range(schedulers):
            self.start_scheduler(f"scheduler{number}")
        for number in range(self._workers):
            self.start_worker(f"worker{number}")
        if web:
            wait_until(self.is_healthy, 30)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start_web(self, name: str = "web") -> subprocess.Popen[bytes]:
        return self.start(name, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi")

    def start_scheduler(self, name: str = "scheduler0") -> subprocess.Popen[bytes]:
        return self.start(name, "manage.py", "runscheduler")

    def start_worker(self, name: str = "worker0") -> subprocess.Popen[bytes]:
        return self.start(name, "manage.py", "runworker")

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        return self.processes[name]

    def suspend(self, pid: int) -> None:
        """SIGSTOP a process, but not while it holds SQLite's one write lock: then nobody could write before it goes
        on.
        """
        while True:
            os.kill(pid, signal.SIGSTOP)
            # A thread that runs on another core stops later than the signal is sent, and may lock until then.
            wait_until(lambda: _is_suspended(pid))
            if "DATABASE_URL" in self.env:
                return
            try:
                with closing(sqlite3.connect(self.folder / "cronsched.sqlite3", timeout=0.1)) as plain:
                    plain.execute("BEGIN IMMEDIATE")
                    return
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.01)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            check=check,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if check else subprocess.PIPE,
            text=True,
            timeout=120,
        )

    def python(self, code: str) -> str:
        """Run code with Django set up, in a process of its own; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", "import django; django.setup()\n" + code],
            cwd=ROOT,
            env=self.env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        return done.stdout

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def anyone(self) -> Client:
        return Client(self.base + "/api/v2")

    @property
    def site(self) -> Client:
        return Client(self.base)

    @property
    def admin(self) -> Client:
        return self.login("admin", ADMIN_PASSWORD)

    def user(self, role: str = "user") -> Client:
        """A client of a (fresh, but reused) account with this role."""
        name = f"some-{role}"
        if name not in self._clients:
            body = {"username": name, "email": f"{name}@example.com", "password": "quite unguessable 5", "role": role}
            answer = self.admin.post("/auth/register", json=body)
            assert answer.status_code in {201, 409}, answer.text
        return self.login(name, "quite unguessable 5")

    def login(self, name: str, password: str) -> Client:
        """A client that is logged in; one login for each account."""
        if name not in self._clients:
            answer = self.anyone.post("/auth/login", json={"username": name, "password": password})
            assert answer.status_code == 200, answer.text
            self._clients[name] = Client(self.base + "/api/v2", answer.json()["access_token"])
        return self._clients[name]

    def is_healthy(self) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.log(name)}"
        try:
            health = self.anyone.get("/health").json()
        except requests.ConnectionError:
            return False
        return bool(health["scheduler_running"]) or self._counts[0] == 0


@cache
def _fresh_folder() -> Path:
    """A data directory as `setup` leaves it, with SQLite; made once for all installations of this process."""
    folder = Path(tempfile.mkdtemp(prefix="cronsched-fresh-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy_migrated(folder / "cronsched.sqlite3")
    Installation(folder).manage("setup")
    return folder


def next_minute() -> float:
    """The Unix time of the next full minute."""
    return (time.time() // 60 + 1) * 60
