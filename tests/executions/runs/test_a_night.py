"""A night: 400 workflows at 22:00, with limits of GitHub, displaced, disabled and flaky runs, and a leader that ends in
the middle. Every execution ends with the truth, and none is dispatched twice.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest

from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions.delivery import engine
from executions.models import OPEN, BudgetWait, Execution, Status, WorkflowRun
from executions.recovery import recover
from executions.runs.follower import RunFollower
from jobs.models import Job
from jobs.services import add_jobs
from scheduler.firing import fire
from scheduler.leadership import Leader
from settings_app.models import GitHubCredential
from taxonomy.models import Category, PicTeam
from tests.executions.runs.conftest import NIGHT
from tests.support.clock import PassingTime
from tests.support.target import wait_until

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]
# Workflow files and how many jobs run them.
WORKFLOWS = {
    "success-300.yml": 380,
    "failure_then_success-200.yml": 5,
    "failure-200.yml": 8,
    # One concurrency group: one runs, one waits, and the one that waits is displaced.
    "success-400.yml": 4,
    # Disabled by GitHub, and by a person.
    "success-301.yml": 2,
    "success-302.yml": 1,
}


@pytest.fixture
def jobs(team: PicTeam, general: Category, github: GitHub, clock: PassingTime) -> list[Job]:
    credential = GitHubCredential.objects.create(name="qa-app", token=encrypt("ghp_x"), per_minute=100)
    github.limits.dispatches_per_minute = 80
    github.groups["acme/repo-0", "success-400.yml"] = "deploy"
    github.states["acme/repo-0", "success-301.yml"] = "disabled_inactivity"
    github.states["acme/repo-0", "success-302.yml"] = "disabled_manually"
    names = count()
    common = {"cron_expression": "0 22 * * *", "end_date": dt.date(2099, 1, 1), "pic_team": team, "category": general,
              "target_kind": "github_actions", "github_owner": "acme", "github_credential": credential,
              "rerun_failed_jobs": 1}  # fmt: skip
    made = [
        Job(
            name=f"job {next(names)}",
            github_workflow_name=file,
            github_repo=f"repo-{number % 40 if file == 'success-300.yml' else 0}",
            **common,
        )
        for file, many in WORKFLOWS.items()
        for number in range(many)
    ]
    add_jobs(made, by=None)
    Job.objects.update(next_run_at=NIGHT)
    return made


def at_github(github: GitHub) -> int:
    return sum(path.endswith("/dispatches") and status in {200, 204} for _, path, status in github.calls)


def test_the_night(
    jobs: list[Job], github: GitHub, clock: PassingTime, new_follower: Callable[[], RunFollower]
) -> None:
    leader = Leader()
    leader.take_over()
    fire(leader)
    follower = new_follower()
    passed, ended = 0, Execution.objects.exclude(status__in=OPEN)
    while ended.count() < len(jobs):
        assert passed < 3600, Counter(Execution.objects.values_list("status", flat=True))
        clock.advance(5)
        passed += 5
        follower.poll()
        if passed == 120:
            # The leader ends, and another one goes on with what it finds.
            assert BudgetWait.objects.filter(seconds=None).exists()
            engine.shutdown_local_engine(5)
            follower = new_follower()
            recover()
        wait_until(lambda: not engine.local_engine().phases().get("calling"))
    # How many of the group had begun before the next one came depends on when they left.
    in_group = Counter(
        Execution.objects.filter(job__github_workflow_name="success-400.yml").values_list("status", flat=True)
    )
    assert (in_group.total(), set(in_group)) == (4, {Status.SUCCESS, Status.SKIPPED})
    by_workflow: dict[str, Counter[str]] = {file: Counter() for file in WORKFLOWS}
    for file, status in Execution.objects.values_list("job__github_workflow_name", "status"):
        by_workflow[file][status] += 1
    assert by_workflow == {
        "success-300.yml": Counter({Status.SUCCESS: 380}),
        "failure_then_success-200.yml": Counter({Status.SUCCESS: 5}),
        "failure-200.yml": Counter({Status.FAILED: 8}),
        "success-400.yml": in_group,
        "success-301.yml": Counter({Status.SUCCESS: 2}),
        "success-302.yml": Counter({Status.FAILED: 1}),
    }
    # All but the one that a person disabled were dispatched, each once.
    assert (len(github.runs), at_github(github)) == (399, 399)
    assert WorkflowRun.objects.filter(is_flaky=True).count() == 5
    assert BudgetWait.objects.filter(credential="qa-app", seconds__gt=0).count() >= 300
