"""Celery workers on PostgreSQL and Redis, each of them killed under load: nothing is lost, nothing doubled, nothing
`running` for ever.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.github_stand_in import GitHub
from tests.faults.test_faults import JOBS, ROUNDS, SEED, end_and_restart, strike
from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.ledger import Ledger
from tests.support.postgres import Postgres
from tests.support.redis import Redis
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def broker() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def installation(tmp_path: Path, postgres: Postgres, broker: Redis) -> Iterator[Installation]:  # type: ignore[override]
    env = {
        "DATABASE_URL": postgres.migrated(),
        "EXECUTION_BACKEND": "celery",
        "BROKER_URL": broker.url,
        "ENGINE_DRAIN_SECONDS": "5",
    }
    with Installation(tmp_path, schedulers=2, web=False, workers=2, env=env) as running:
        yield running


@pytest.fixture
def ledger(installation: Installation, target: Target) -> Ledger:
    ledger = Ledger(installation, target, JOBS, "/sleep?s=0.05")
    ledger.wait_for_leader()
    wait_until(lambda: ledger.query("SELECT count(*) FROM executions_worker")[0][0] == 2, 30)
    return ledger


def test_both_workers_carry_out_what_the_leader_fires(ledger: Ledger) -> None:
    """A round fits into one message, which either may fetch."""
    carried_out: set[str] = set()
    while len(carried_out) < 2:
        assert ledger.rounds < 20
        ledger.make_due()
        ledger.settle()
        carried_out |= {str(row[0]) for row in ledger.query("SELECT DISTINCT worker_id FROM executions_execution")}
    ledger.check()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_under_load(installation: Installation, ledger: Ledger, number: signal.Signals) -> None:
    chance = random.Random(SEED)
    for round_ in range(ROUNDS):
        strike(ledger, chance)
        name = f"worker{round_ % 2}"
        installation.processes[name].send_signal(number)
        installation.processes[name].wait(20)
        installation.start_worker(name)
        ledger.settle()
    ledger.check()


def test_a_leader_that_is_killed_under_load(installation: Installation, ledger: Ledger) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        pid = strike(ledger, chance)
        started = end_and_restart(installation, pid)
        ledger.wait_for_leader(other_than=pid)
        assert time.monotonic() - started < 30
        ledger.settle()
    ledger.check()


def test_a_broker_that_is_killed_and_loses_all_it_held(ledger: Ledger, broker: Redis) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        strike(ledger, chance)
        broker.kill()
        time.sleep(chance.uniform(0, 2))
        broker.start()
        ledger.settle(60)
    ledger.check()


def test_a_database_that_restarts_under_load(ledger: Ledger, postgres: Postgres) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        strike(ledger, chance)
        postgres.stop()
        time.sleep(chance.uniform(0, 2))
        postgres.start()
        ledger.settle(60)
    ledger.check()


def test_garbage_on_the_queue_is_dropped_and_costs_nothing(
    installation: Installation, ledger: Ledger, broker: Redis
) -> None:
    for junk in (b"no json", b"{}", b'{"body": "x", "headers": {}, "properties": {}}', b"\xff\xfe"):
        broker.client().lpush("cronsched.webhook", junk)
    ledger.make_due()
    ledger.settle(60)
    ledger.check()
    logs = installation.log("worker0") + installation.log("worker1")
    assert "dropped" in logs


def test_workers_share_the_budget_of_a_credential(
    tmp_path: Path, postgres: Postgres, broker: Redis, github: GitHub
) -> None:
    env = {
        "DATABASE_URL": postgres.migrated(), "EXECUTION_BACKEND": "celery", "BROKER_URL": broker.url,
        "GITHUB_API_URL": github.url, "CRONSCHED_ALLOWED_TARGETS": "127.0.0.0/8",
    }  # fmt: skip
    with Installation(tmp_path, schedulers=1, workers=2, env=env) as installation:
        make = "from settings_app.models import GitHubCredential; from core.db.encryption import encrypt; "
        installation.python(make + "GitHubCredential.objects.create(name='qa', token=encrypt('ghp_x'), per_minute=12)")
        team(installation.admin)
        job = make_job(
            installation.admin, name="dispatch", target_url="acme/shop/success-0.yml", github_credential="qa",
            wait_for_run=False, overlap_policy="allow",
        )  # fmt: skip
        for _ in range(20):
            assert installation.admin.post(f"/jobs/{job['id']}/execute").status_code == 200
        wait_until(lambda: len(github.runs) == 12, 30)
        count = "from executions.models import BudgetWait; print(BudgetWait.objects.filter(seconds=None).count())"
        wait_until(lambda: installation.python(count) == "8\n", 30)
        assert len(github.runs) == 12
        # A raised budget counts within seconds, for what waits, in every worker.
        installation.python(make + "GitHubCredential.objects.update(per_minute=100)")
        wait_until(lambda: len(github.runs) == 20, 90)
        statuses = "from executions.models import Execution; print(Execution.objects.filter(status='success').count())"
        wait_until(lambda: installation.python(statuses) == "20\n", 30)
        assert len(github.runs) == 20
