"""`make run`: everything starts together, is kept alive, and stops together."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.installation import ROOT, Installation
from tests.support.target import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def installation(tmp_path: Path) -> Installation:  # type: ignore[override]
    """In a folder with a space and a percent sign in its name; not set up yet."""
    folder = tmp_path / "data of 100%"
    folder.mkdir()
    return Installation(folder, env={"CRONSCHED_ADMIN_PASSWORD": ""})


def healthy(installation: Installation) -> bool:
    try:
        return bool(installation.anyone.get("/health").json()["scheduler_running"])
    except requests.ConnectionError:
        return False


@contextmanager
def serving(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    with open(installation.folder / "serve.log", "w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"], cwd=ROOT, env=installation.env, stdout=out, stderr=out, text=True
        )
        try:
            wait_until(lambda: healthy(installation), 120)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def test_it_sets_up_serves_and_stops_without_leaving_a_process(installation: Installation) -> None:
    with serving(installation) as process:
        _sets_up_and_stops(installation, process)
    second = subprocess.Popen(
        [sys.executable, "manage.py", "serve"], cwd=ROOT, env=installation.env, stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: healthy(installation), 120)
    second.terminate()
    output, _ = second.communicate(timeout=60)
    assert (installation.folder / "admin_password").read_text().strip() not in output
    assert "Log in with your account" in output


def _sets_up_and_stops(installation: Installation, process: subprocess.Popen[str]) -> None:
    banner = installation.log("serve")
    kept = installation.folder / "admin_password"
    password = kept.read_text().strip()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((installation.folder / "secret_key").stat().st_mode) == 0o600
    assert banner.count(password) == 1
    assert f"http://localhost:{installation.port}/admin/" in banner
    assert installation.login("admin", password).get("/auth/me").json()["role"] == "admin"

    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_process_that_dies_is_started_again(installation: Installation) -> None:
    with serving(installation.prepared()) as process:
        for word in ("runscheduler", "gunicorn"):
            child = next(c for c in psutil.Process(process.pid).children() if word in " ".join(c.cmdline()))
            os.kill(child.pid, signal.SIGKILL)
            child.wait(20)
            wait_until(
                lambda word=word: any(word in " ".join(c.cmdline()) for c in psutil.Process(process.pid).children()), 60
            )  # type: ignore[misc]
            wait_until(lambda: healthy(installation), 60)


def test_a_port_in_use_is_told_in_one_line(installation: Installation) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", installation.port))
        other.listen()
        done = installation.prepared().manage("serve", check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"CommandError: Port \d+ is in use: .*PORT.*\n", done.stderr)


def test_a_first_admin_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    done = Installation(tmp_path, env={"CRONSCHED_ADMIN_PASSWORD": "123"}).manage("serve", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cronsched: CRONSCHED_ADMIN_PASSWORD")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_scheduler_without_its_database_says_what_to_do_and_starts_when_it_is_there(tmp_path: Path) -> None:
    installation = Installation(tmp_path, web=False)
    process = installation.start_scheduler()
    try:
        wait_until(lambda: "run 'manage.py migrate'; trying again in" in installation.log("scheduler0"), 60)
        installation.manage("migrate", "-v0")
        wait_until(lambda: "leading as" in installation.log("scheduler0"), 60)
        assert "Traceback" not in installation.log("scheduler0")
    finally:
        process.terminate()
        process.wait(20)


def test_every_setting_is_in_the_example_file() -> None:
    source = (ROOT / "cronsched/settings.py").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    listed = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert names == listed
