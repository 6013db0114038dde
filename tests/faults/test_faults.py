"""Faults over real processes. The target's own record of arrivals decides: executions = fire times, calls >=
executions.

`FAULT_ROUNDS` sets how often each fault is repeated (2; `make faults`: 100), `FAULT_SEED` the moments at which it
strikes.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.ledger import Ledger
from tests.support.postgres import Postgres
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
JOBS = 200


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    server: Postgres = request.getfixturevalue("postgres")
    return {"DATABASE_URL": server.migrated()}


@pytest.fixture
def installation(tmp_path: Path, database: dict[str, str]) -> Iterator[Installation]:  # type: ignore[override]
    with Installation(tmp_path, schedulers=2, web=False, env={**database, "ENGINE_DRAIN_SECONDS": "5"}) as running:
        yield running


@pytest.fixture
def ledger(installation: Installation, target: Target) -> Ledger:
    ledger = Ledger(installation, target, JOBS, "/sleep?s=0.05")
    ledger.wait_for_leader()
    return ledger


def name_of(installation: Installation, pid: int) -> str:
    return next(name for name, process in installation.processes.items() if process.pid == pid)


def end_and_restart(installation: Installation, pid: int, number: signal.Signals = signal.SIGKILL) -> float:
    """End a scheduler by a signal, and start it again; returns when (monotonic)."""
    name = name_of(installation, pid)
    os.kill(pid, number)
    installation.processes[name].wait(20)
    installation.start_scheduler(name)
    return time.monotonic()


def strike(ledger: Ledger, chance: random.Random) -> int:
    """Make a round due, and wait for a moment in the middle of it; returns the leader's pid."""
    pid = ledger.wait_for_leader()
    ledger.make_due()
    time.sleep(chance.uniform(0, 0.8))
    return pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_leader_that_ends_under_load_loses_and_doubles_nothing(
    installation: Installation, ledger: Ledger, number: signal.Signals
) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        pid = strike(ledger, chance)
        started = end_and_restart(installation, pid, number)
        ledger.wait_for_leader(other_than=pid)
        assert time.monotonic() - started < 30
        ledger.settle()
    ledger.check()


def test_a_leader_that_is_stopped_and_goes_on_fires_nothing_and_steps_down(
    installation: Installation, ledger: Ledger
) -> None:
    chance = random.Random(SEED)
    for _ in range(max(1, ROUNDS // 2)):
        pid = strike(ledger, chance)
        installation.suspend(pid)
        started = time.monotonic()
        ledger.wait_for_leader(other_than=pid)
        assert time.monotonic() - started < 30
        ledger.wait_until_fired()
        ledger.make_due()
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)
        name = name_of(installation, pid)
        wait_until(lambda name=name: "stepping down" in installation.log(name), 20)  # type: ignore[misc]
        ledger.settle(60)
        assert ledger.leader() != pid
    ledger.check()


def test_a_database_that_restarts_under_load_costs_no_execution(
    tmp_path: Path, postgres: Postgres, target: Target
) -> None:
    with Installation(tmp_path, schedulers=2, web=False, env={"DATABASE_URL": postgres.migrated()}) as installation:
        ledger = Ledger(installation, target, JOBS, "/sleep?s=0.05")
        chance = random.Random(SEED)
        for _ in range(ROUNDS):
            strike(ledger, chance)
            postgres.stop()
            time.sleep(chance.uniform(0, 3))
            postgres.start()
            ledger.settle(60)
        ledger.check()


def test_a_full_disk_costs_no_execution(tmp_path: Path, target: Target) -> None:
    with Installation(tmp_path, schedulers=1, web=False) as installation:
        ledger = Ledger(installation, target, JOBS, "/sleep?s=0.05")
        pid = ledger.wait_for_leader()
        ledger.make_due()
        ledger.settle()
        ledger.make_due()
        process = psutil.Process(pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (4096, psutil.RLIM_INFINITY))
        time.sleep(3)
        assert process.is_running()
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        ledger.settle(60)
        ledger.check()


def test_a_manual_run_survives_its_web_process(tmp_path: Path, target: Target) -> None:
    with Installation(tmp_path, schedulers=1) as installation:
        team(installation.admin)
        job = make_job(installation.admin, target_url=target.url + "/sleep?s=3")
        asked = installation.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
        target.wait_for(1)
        web = installation.processes["web"]
        for process in [*psutil.Process(web.pid).children(recursive=True), psutil.Process(web.pid)]:
            process.kill()
        web.wait(10)
        target.forget()
        arrival = target.wait_for(1, 30)[0]
        assert arrival.headers["Idempotency-Key"] == asked


def test_work_that_ends_later_outlives_every_process(tmp_path: Path, database: dict[str, str], target: Target) -> None:
    """Scheduler and web process are killed between the answer 202 and the callback."""
    with Installation(tmp_path, schedulers=1, env=database) as installation:
        team(installation.admin)
        target.answers["/work"] = lambda _: (202, {}, b"")
        target.answers["/polled"] = lambda _: (202, {"Location": "/status"}, b"")
        target.answers["/status"] = lambda _: (202, {}, b"")
        asked = {}
        for completion, path in (("callback", "/work"), ("poll", "/polled")):
            job = make_job(installation.admin, name=completion, target_url=target.url + path, completion=completion)
            asked[completion] = installation.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]

        def shown(completion: str) -> Any:
            return installation.admin.get(f"/executions/{asked[completion]}").json()["execution"]

        wait_until(lambda: all(shown(one)["response_status"] == 202 for one in asked))
        for name in ("scheduler0", "web"):
            process = installation.processes[name]
            for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                one.kill()
            process.wait(10)
        installation.start_web()
        installation.start_scheduler()
        wait_until(installation.is_healthy, 30)
        target.answers["/status"] = lambda _: (200, {}, b"done")
        address = next(one for one in target.arrivals if one.path == "/work").headers["X-Cronsched-Callback"]
        token = address.rpartition("/")[2]
        told = installation.anyone.post(f"/callbacks/{token}", json={"status": "success", "message": "done"})
        assert told.status_code == 200
        wait_until(lambda: shown("poll")["status"] == "success", 30)
        assert [shown(one)["output"] for one in asked] == ["done", "done"]
        assert [target.paths().count(path) for path in ("/work", "/polled")] == [1, 1]


def test_executions_under_way_end_with_the_target(tmp_path: Path, target: Target) -> None:
    """A target that is down, then up again: jobs that retry get through."""
    with Installation(tmp_path, schedulers=1, web=False) as installation:
        ledger = Ledger(installation, target, 20, "/ok")
        ledger.query(
            "UPDATE jobs_job SET max_attempts = 10, retry_backoff_seconds = 1, target_url = 'http://127.0.0.1:1/x'"
        )
        ledger.wait_for_leader()
        ledger.make_due()
        wait_until(
            lambda: (
                ledger.query("SELECT count(*) FROM executions_execution WHERE attempts LIKE '%refused%'")[0][0] == 20
            )
        )
        assert ledger.query("SELECT DISTINCT status FROM executions_execution") == [("running",)]


def test_answers_that_came_while_the_scheduler_was_stopped_are_read_before_their_time_out(
    tmp_path: Path, target: Target
) -> None:
    with Installation(tmp_path, schedulers=1, web=False) as installation:
        ledger = Ledger(installation, target, JOBS, "/sleep?s=0.5")
        ledger.query("UPDATE jobs_job SET timeout_seconds = 3")
        pid = ledger.wait_for_leader()
        ledger.make_due()
        target.wait_for(JOBS, 20)
        installation.suspend(pid)
        time.sleep(4)
        os.kill(pid, signal.SIGCONT)
        ledger.settle(60)
        ledger.check()
        assert ledger.query("SELECT status, count(*) FROM executions_execution GROUP BY status") == [("success", JOBS)]


def test_a_lost_key_costs_only_what_needs_its_secrets(tmp_path: Path, database: dict[str, str], target: Target) -> None:
    env = {**database, "CRONSCHED_ENCRYPTION_KEYS": "a" * 40}
    with Installation(tmp_path, schedulers=0, web=False, env=env) as installation:
        ledger = Ledger(installation, target, JOBS)
        installation.python(
            "from accounts.models import User; from settings_app.models import Secret\n"
            "from jobs.models import Job; from jobs.services import update_job\n"
            "Secret.objects.create(name='TOKEN', value='s3cr3t', allowed_hosts='127.0.0.1')\n"
            "update_job(Job.objects.get(name='job 0').pk, {'headers': {'X-Token': '{{ secret.TOKEN }}'}, "
            "'templated': True}, by=User.objects.get(username='admin'))"
        )
        installation.env["CRONSCHED_ENCRYPTION_KEYS"] = "b" * 40
        installation.start_scheduler()
        ledger.wait_for_leader()
        ledger.make_due()
        ledger.settle(60)
        failed = "SELECT error_message FROM executions_execution WHERE status = 'failed'"
        [(reason,)] = ledger.query(failed)
        assert "add the key it was stored with to CRONSCHED_ENCRYPTION_KEYS" in reason
        assert ledger.query("SELECT count(*) FROM executions_execution WHERE status = 'success'") == [(JOBS - 1,)]
        assert "Traceback" not in installation.log("scheduler0")
