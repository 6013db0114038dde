"""Runs all processes of an installation under supervisord: restarted with backoff when they die, stopped together."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from core.runtime.files import open_private

_LARGE_LOG = 20 * 1024 * 1024
_HEAD = """\
[supervisord]
nodaemon=true
silent=true
user={user}
logfile=/dev/null
logfile_maxbytes=0
pidfile={data}/supervisord.pid
childlogdir={data}
"""
# supervisord restarts a process that dies within `startsecs` after 1 s, 2 s, 3 s and so on; `startretries` is never
# reached.
_PROGRAM = """
[program:{name}]
command={command}
directory={base}
environment={environment}
autorestart=true
startsecs=2
startretries=1000000
stopsignal=TERM
stopwaitsecs={stop}
stopasgroup=false
killasgroup=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
stderr_logfile=/dev/fd/2
stderr_logfile_maxbytes=0
"""


@dataclass(frozen=True)
class Program:
    """A process to keep running."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def programs() -> list[Program]:
    """The programs of an installation on one machine."""
    python = sys.executable
    manage = str(settings.BASE_DIR / "manage.py")
    found = [Program("web", [python, "-m", "gunicorn", "-c", "python:cronsched.gunicorn", "cronsched.wsgi"])]
    if settings.SCHEDULER_ENABLED:
        found.append(Program("scheduler", [python, manage, "runscheduler"]))
    if settings.EXECUTION_BACKEND == "celery" and settings.WORKERS:
        found += [Program(f"worker{number}", [python, manage, "runworker"]) for number in range(settings.WORKERS)]
    if settings.DEMO_ECHO_PORT:
        found.append(Program("echo", [python, "-m", "demo.echo", str(settings.DEMO_ECHO_PORT)]))
    return found


def write_config(path: Path, chosen: Sequence[Program] | None = None) -> Path:
    """Write supervisord's configuration for these programs (by default `programs()`); returns its path."""
    stop = settings.ENGINE_DRAIN_SECONDS + 14
    text = _HEAD.format(user=_escape(_user()), data=_escape(str(settings.CRONSCHED_DATA_DIR)))
    for program in programs() if chosen is None else chosen:
        text += _PROGRAM.format(
            name=program.name,
            command=_escape(shlex.join(program.command)),
            base=_escape(str(settings.BASE_DIR)),
            stop=stop,
            environment=",".join(f'{name}="{_escape(value)}"' for name, value in program.environment.items()),
        )
    with open_private(path) as out:
        out.write(text)
    return path


def fresh_log(path: Path) -> Path:
    """The path of the log, which begins anew once it is large; the former one is kept beside it."""
    if path.is_file() and path.stat().st_size > _LARGE_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path


def run(config: Path) -> None:
    """Replace this process by supervisord; does not return."""
    arguments = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    os.execv(sys.executable, arguments)


def _user() -> str:
    return str(os.getuid())


def _escape(text: str) -> str:
    """supervisord expands `%(...)s` in its values."""
    return text.replace("%", "%%")
