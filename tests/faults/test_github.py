"""SIGKILL of the leader while it dispatches workflows, waits for a limit, follows runs and runs failed jobs again: each
execution ends with the truth, none is dispatched twice.

A dispatch has no key by which GitHub would know a repetition, so one whose answer was lost is not repeated: its
execution fails with that reason.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.github_stand_in import GitHub
from tests.faults.test_faults import ROUNDS, SEED, end_and_restart, strike
from tests.support.installation import Installation
from tests.support.ledger import Ledger
from tests.support.target import Target

pytestmark = pytest.mark.long
JOBS = 60


@pytest.fixture
def installation(tmp_path: Path, github: GitHub) -> Iterator[Installation]:  # type: ignore[override]
    env = {"GITHUB_API_URL": github.url, "CRONSCHED_ALLOWED_TARGETS": "127.0.0.0/8", "ENGINE_DRAIN_SECONDS": "5"}
    with Installation(tmp_path, schedulers=2, web=False, env=env) as running:
        yield running


@pytest.fixture
def ledger(installation: Installation, target: Target) -> Ledger:
    """Jobs that each dispatch a workflow of a repository of their own, and follow its run."""
    ledger = Ledger(installation, target, JOBS)
    installation.python(
        "from jobs.models import Job; from settings_app.models import GitHubCredential\n"
        "qa = GitHubCredential.objects.create(name='qa', token='ghp_x', per_minute=1000)\n"
        "for n, job in enumerate(Job.objects.all()):\n"
        "    job.target_kind, job.target_url, job.github_credential = 'github_actions', '', qa\n"
        "    job.github_owner, job.github_repo, job.github_workflow_name = 'acme', f'repo-{n}', 'success-1.yml'\n"
        "    job.save()"
    )
    ledger.wait_for_leader()
    return ledger


def test_no_workflow_is_dispatched_twice(installation: Installation, ledger: Ledger, github: GitHub) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        pid = strike(ledger, chance)
        end_and_restart(installation, pid)
        ledger.wait_for_leader(other_than=pid)
        ledger.settle(120)
        runs = Counter(run.repository for run in github.runs.values())
        assert max(runs.values()) <= ledger.rounds
    rows = ledger.query(
        "SELECT e.status, e.run_id, e.error_message, j.github_repo FROM executions_execution e"
        " JOIN jobs_job j ON j.id = e.job_id"
    )
    assert len(rows) == JOBS * ledger.rounds
    told = Counter(repo for status, _, _, repo in rows if status == "success")
    lost = Counter(repo for status, _, _, repo in rows if status == "failed")
    assert {status for status, *_ in rows} <= {"success", "failed"}
    reasons = {reason for status, _, reason, _ in rows if status == "failed"}
    assert all("ended before GitHub's answer" in reason for reason in reasons), reasons
    for repository, count in runs.items():
        repo = repository.partition("/")[2]
        # Every success has its run; what was lost may have one.
        assert told[repo] <= count <= told[repo] + lost[repo]
    ids = [run_id for status, run_id, *_ in rows if status == "success"]
    assert len(set(ids)) == len(ids)


# Workflow files of the first jobs: flaky ones, and a concurrency group that displaces; the others succeed.
NIGHT = {"failure_then_success-1.yml": 8, "failure-1.yml": 4, "success-2.yml": 6}


def test_a_night_of_limits_displaced_and_flaky_runs_through_kills(
    installation: Installation, ledger: Ledger, github: GitHub
) -> None:
    files = [file for file, many in NIGHT.items() for _ in range(many)]
    installation.python(
        "from jobs.models import Job\n"
        "Job.objects.update(rerun_failed_jobs=1, rerun_after_seconds=1)\n"
        f"for file, job in zip({files!r}, Job.objects.order_by('name')):\n"
        "    job.github_workflow_name = file\n"
        "    job.github_repo = 'deploy' if file == 'success-2.yml' else job.github_repo\n"
        "    job.save()"
    )
    github.groups["acme/deploy", "success-2.yml"] = "deploy"
    chance = random.Random(SEED)
    for _ in range(max(1, ROUNDS // 2)):
        github.fail_for = {"/dispatches": [(403, {"Retry-After": "2"}) for _ in range(8)]}
        for pause in (0.0, 2.0):
            pid = ledger.wait_for_leader() if pause else strike(ledger, chance)
            time.sleep(pause)
            end_and_restart(installation, pid)
            ledger.wait_for_leader(other_than=pid)
        ledger.settle(120)
    rows = ledger.query(
        "SELECT e.status, e.run_id, e.error_message, j.github_workflow_name FROM executions_execution e"
        " JOIN jobs_job j ON j.id = e.job_id"
    )
    assert len(rows) == JOBS * ledger.rounds
    followed = [(status, github.runs[run_id]) for status, run_id, *_ in rows if run_id]
    assert len({run.id for _, run in followed}) == len(followed)
    truth = {(status, run.workflow, "skipped" if run.is_displaced else run.conclusion) for status, run in followed}
    assert truth <= {
        ("success", "success-1.yml", "success"), ("success", "success-2.yml", "success"),
        ("skipped", "success-2.yml", "skipped"), ("success", "failure_then_success-1.yml", "success"),
        ("failed", "failure-1.yml", "failure"),
    }  # fmt: skip
    lost = [reason for _, run_id, reason, _ in rows if not run_id]
    assert all("ended before GitHub's answer" in reason for reason in lost), lost
    assert {"skipped", "failed", "success"} <= {status for status, _ in followed}
    assert not github.fail_for["/dispatches"] and any(run.attempt > 1 for _, run in followed)
    # What was lost may have a run; nothing else has more than one.
    assert len(followed) <= len(github.runs) <= len(rows)
