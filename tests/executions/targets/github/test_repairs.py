"""Refusals of a dispatch that are put right: a workflow disabled for inactivity, and a repository without `master`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from audit.models import ChangeRecord
from demo.github_stand_in import GitHub
from executions.models import Exchange, Execution, Status
from executions.services import trigger_now
from jobs.models import Job
from tests.support.executions import ended

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "success-0.yml"


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
        yield server


@pytest.fixture
def run(make_job: Callable[..., Job], admin: User) -> Callable[..., Execution]:
    def make(**fields: Any) -> Execution:
        job = make_job(target_url=f"acme/shop/{NAME}", wait_for_run=False, **fields)
        return ended(trigger_now(job.pk, {}, by=admin))

    return make


def test_a_workflow_disabled_for_inactivity_is_enabled_and_dispatched(
    github: GitHub, run: Callable[..., Execution]
) -> None:
    github.states["acme/shop", NAME] = "disabled_inactivity"
    done = run()
    assert (done.status, len(github.runs)) == (Status.SUCCESS, 1)
    assert "disabled the workflow for inactivity: it was enabled" in done.output
    assert [one["status"] for one in done.attempts] == [422, 204]
    assert [status for *_, status in github.calls] == [422, 200, 204, 204]


def test_a_rate_limit_of_the_repair_makes_the_dispatch_wait(github: GitHub, run: Callable[..., Execution]) -> None:
    github.states["acme/shop", NAME] = "disabled_inactivity"
    github.fail_for = {f"/workflows/{NAME}": [(403, {"Retry-After": "1"})]}
    done = run()
    assert (done.status, len(github.runs)) == (Status.SUCCESS, 1)
    assert [status for *_, status in github.calls] == [422, 403, 422, 200, 204, 204]


@pytest.mark.parametrize(
    ("metadata", "remedy"),
    [
        ({"brwser": "chrome", "retries": "1"}, 'does not declare the inputs ["brwser"]'),
        ({"browser": "chrome"}, "requires the input 'retries'"),
        ({"browser": "opera", "retries": "1"}, "a value that the workflow's list of choices does not name"),
    ],
)
def test_wrong_inputs_say_what_to_change(
    github: GitHub, run: Callable[..., Execution], api: APIClient, metadata: dict[str, str], remedy: str
) -> None:
    github.all_files["acme/shop", NAME] = """on:
  workflow_dispatch:
    inputs:
      browser: {type: choice, options: [chrome, firefox]}
      retries: {required: true}
jobs: {}
"""
    done = run(metadata=metadata)
    assert (done.status, done.response_status, len(github.runs)) == (Status.FAILED, 422, 0)
    assert remedy in api.get(f"/api/v2/executions/{done.pk}").json()["remedy"]


def test_a_workflow_without_the_trigger_says_what_to_add(
    github: GitHub, run: Callable[..., Execution], api: APIClient
) -> None:
    github.all_files["acme/shop", NAME] = "on: push\njobs: {}\n"
    assert "Add 'workflow_dispatch:'" in api.get(f"/api/v2/executions/{run().pk}").json()["remedy"]


def test_one_that_another_job_has_just_enabled_is_dispatched(github: GitHub, run: Callable[..., Execution]) -> None:
    """Two jobs of one workflow are refused; when the second one asks, the first has enabled it."""
    answer, refused = github.answer, []

    def refuse_once(method: str, path: str, *more: Any) -> Any:
        if method == "POST" and not refused:
            refused.append(path)
            return 422, {"message": "Cannot trigger a 'workflow_dispatch' on a disabled workflow"}, {}
        return answer(method, path, *more)

    github.answer = refuse_once  # type: ignore[method-assign]
    done = run()
    assert (done.status, len(github.runs)) == (Status.SUCCESS, 1)
    assert "is active again" in done.output


def test_one_that_somebody_disabled_fails_and_says_so(
    github: GitHub, run: Callable[..., Execution], api: APIClient
) -> None:
    github.states["acme/shop", NAME] = "disabled_manually"
    done = run()
    assert (done.status, github.runs) == (Status.FAILED, {})
    assert "is disabled on GitHub" in api.get(f"/api/v2/executions/{done.pk}").json()["remedy"]
    answer = api.post(f"/api/v2/jobs/{done.job_id}/enable-workflow")
    assert (answer.status_code, github.states) == (200, {})
    assert ChangeRecord.objects.filter(kind="workflow enabled").count() == 1


def test_what_cannot_be_enabled_says_why(github: GitHub, run: Callable[..., Execution], api: APIClient) -> None:
    done = run()
    github.fail_next = [(403, {})]
    answer = api.post(f"/api/v2/jobs/{done.job_id}/enable-workflow")
    assert (answer.status_code, answer.json()["error"]) == (409, "Not enabled")
    webhook = api.post(
        "/api/v2/jobs",
        {
            "name": "w",
            "cron_expression": "0 0 * * *",
            "end_date": "2099-01-01",
            "pic_team": "qa-team",
            "target_url": "https://x.example.com",
        },
    ).json()
    assert api.post(f"/api/v2/jobs/{webhook['job']['id']}/enable-workflow").status_code == 409


def test_without_master_the_default_branch_is_dispatched(github: GitHub, run: Callable[..., Execution]) -> None:
    github.branches = {"main"}
    done = run()
    assert (done.status, [one.branch for one in github.runs.values()]) == (Status.SUCCESS, ["main"])
    assert "default branch, main" in done.output


def test_a_jobs_own_branch_is_never_replaced(github: GitHub, run: Callable[..., Execution]) -> None:
    github.refusal = "No ref found for: release/9"
    done = run(github_ref="release/9")
    assert (done.status, len(github.calls)) == (Status.FAILED, 1)


def test_both_at_once(github: GitHub, run: Callable[..., Execution]) -> None:
    github.branches = {"main"}
    github.states["acme/shop", NAME] = "disabled_inactivity"
    assert run().status == Status.SUCCESS


def test_a_refusal_that_stays_ends_it(github: GitHub, run: Callable[..., Execution]) -> None:
    github.refusal = "Cannot trigger a 'workflow_dispatch' on a disabled workflow"
    github.states["acme/shop", NAME] = "disabled_inactivity"
    done = run()
    assert (done.status, len(github.calls) < 12) == (Status.FAILED, True)


def test_no_token_is_stored_with_the_call(github: GitHub, run: Callable[..., Execution], settings: Any) -> None:
    settings.GITHUB_TOKEN = "ghp_a-token-that-must-not-be-stored"
    github.states["acme/shop", NAME] = "disabled_manually"
    done = run()
    stored = Exchange.objects.get(pk=done.pk).content
    assert "ghp_a-token" not in stored
    # It is the dispatch that is on record, not the question after it.
    assert "/dispatches" in stored


def test_a_repair_that_github_does_not_answer_leaves_the_refusal(github: GitHub, run: Callable[..., Execution]) -> None:
    answer = github.answer

    def break_off(method: str, path: str, *more: Any) -> Any:
        return (500, {"message": "x"}, {}) if method == "GET" else answer(method, path, *more)

    github.answer = break_off  # type: ignore[method-assign]
    github.states["acme/shop", NAME] = "disabled_inactivity"
    done = run()
    assert (done.status, done.response_status) == (Status.FAILED, 422)
