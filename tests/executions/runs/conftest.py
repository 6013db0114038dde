"""What tests of workflow runs share: a stand-in for GitHub, a follower and a clock by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from demo.github_stand_in import GitHub
from executions.delivery import engine
from executions.models import Execution, Status
from executions.runs.follower import RunFollower
from executions.services import trigger_now
from jobs.models import Job
from tests.support.clock import PassingTime, passing_time
from tests.support.target import wait_until

Dispatch = Callable[..., Execution]
NIGHT = dt.datetime(2026, 11, 26, 13, 0, tzinfo=dt.UTC)  # 22:00 JST


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[PassingTime]:
    """Time that passes by hand, in the engine and for GitHub too."""
    with passing_time(NIGHT) as clock:
        monkeypatch.setattr(engine, "new_clock", lambda: clock)
        yield clock
        engine.shutdown_local_engine(0)


@pytest.fixture
def new_follower(clock: PassingTime) -> Iterator[Callable[[], RunFollower]]:
    """Makes followers, of which the last is that of the current leader."""
    made: list[RunFollower] = []

    def make() -> RunFollower:
        made.append(RunFollower(clock.monotonic))
        return made[-1]

    yield make
    for follower in made:
        # A look under way would meet the database while it is flushed.
        follower.close(wait=True)


@pytest.fixture
def follower(new_follower: Callable[[], RunFollower]) -> RunFollower:
    return new_follower()


@pytest.fixture
def github(settings: Any, clock: PassingTime) -> Iterator[GitHub]:
    with GitHub(now=clock.now) as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
        yield server


@pytest.fixture
def dispatch(make_job: Callable[..., Job], admin: User, github: GitHub) -> Dispatch:
    """Dispatch a workflow; returns its execution when the call is over."""

    def make(workflow: str = "success-0.yml", **fields: Any) -> Execution:
        names = {"github_owner": "acme", "github_repo": "shop", "name": f"{workflow} {uuid4()}"}
        job = make_job(**{**names, "github_workflow_name": workflow, **fields})
        return run(job, admin)

    return make


def run(job: Job, by: User) -> Execution:
    """Run a job now; returns its execution when the call is over."""
    execution = trigger_now(job.pk, {}, by=by)

    def called() -> Execution | None:
        found = Execution.objects.get(pk=execution.pk)
        return found if (found.run_id and found.worker_id is None) or found.status != Status.RUNNING else None

    found: Execution = wait_until(called)
    return found


@pytest.fixture
def after(clock: PassingTime, follower: RunFollower) -> Callable[[Execution, float], Execution]:
    """Let seconds pass, with a look at the runs in each; returns the execution."""

    def follow(execution: Execution, seconds: float) -> Execution:
        for _ in range(int(seconds)):
            follower.poll()
            clock.advance(1)
        follower.poll()
        return Execution.objects.get(pk=execution.pk)

    return follow
