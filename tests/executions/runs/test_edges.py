"""Edges of following runs: many watched runs, displaced re-runs, outages, cancelled waits, slow repositories."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from demo.github_stand_in import GitHub, Run
from executions import budgets
from executions.models import Execution, Report, Status, StepLog, WorkflowRun
from executions.runs import follower as following
from executions.runs.follower import RunFollower
from executions.targets.github import test_reports
from jobs.models import Job
from settings_app import credential_rights
from settings_app.models import EnvironmentToken
from taxonomy.models import PicTeam
from tests.executions.runs.conftest import NIGHT, Dispatch
from tests.support.clock import PassingTime
from tests.support.executions import left

pytestmark = pytest.mark.django_db(transaction=True)
After = Callable[[Execution, float], Execution]


def asked(github: GitHub) -> int:
    return len([path for _, path, _ in github.calls if "/actions/runs" in path])


def test_of_many_watched_runs_each_is_seen_when_it_is_run_again(
    make_job: Callable[..., Job], github: GitHub, follower: RunFollower, clock: PassingTime, monkeypatch: Any
) -> None:
    monkeypatch.setattr(following, "_MOST_ENDS", 3)
    job = make_job(target_url="acme/shop/e2e.yml")
    runs = [Run(100 + number, "acme/shop", "e2e.yml", "failure", 1, github.url, clock.now, ("failure", "success"))
            for number in range(8)]  # fmt: skip
    github.runs = {run.id: run for run in runs}
    rows = [left(job, started_at=NIGHT, execution_type="github_actions", target="acme/shop/e2e.yml", run_id=run.id)
            for run in runs]  # fmt: skip
    for _ in range(30):
        clock.advance(10)
        follower.poll()
    assert Execution.objects.filter(status=Status.FAILED).count() == 8
    runs[-1].run_again()
    for _ in range(80):
        clock.advance(10)
        follower.poll()
    assert Execution.objects.get(pk=rows[-1].pk).status == Status.SUCCESS


class TestDisplaced:
    def displace(self, github: GitHub, state: Run) -> None:
        state.displace()
        newer = Run(state.id + 1, state.repository, state.workflow, "success", 1, state.base, state.now)
        github.runs[newer.id] = newer

    def test_a_webhook_before_the_poll_makes_no_difference(
        self, dispatch: Dispatch, github: GitHub, follower: RunFollower, clock: PassingTime
    ) -> None:
        execution = dispatch("success-900.yml")
        for _ in range(30):
            follower.poll()
            clock.advance(10)
        self.displace(github, next(iter(github.runs.values())))
        WorkflowRun.objects.create(pk=execution.pk, look_at=NIGHT)
        for _ in range(3):
            follower.poll()
            clock.advance(1)
        assert Execution.objects.get(pk=execution.pk).status == Status.SKIPPED

    @pytest.mark.parametrize(
        ("branch", "expected"), [("same", Status.SKIPPED), ("other", Status.FAILED), ("", Status.FAILED)]
    )
    def test_the_run_of_a_push_to_the_same_branch_displaces_too(
        self, dispatch: Dispatch, after: After, github: GitHub, branch: str, expected: Status
    ) -> None:
        execution = dispatch("success-900.yml")
        (state,) = github.runs.values()
        if branch:
            self.displace(github, state)
            newer = list(github.runs.values())[-1]
            newer.event, newer.branch = "push", state.branch if branch == "same" else branch
        else:
            state.displace()
        assert after(execution, 90).status == expected

    def test_an_outage_of_the_listing_is_no_verdict(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        execution = dispatch("success-900.yml")
        (state,) = github.runs.values()
        self.displace(github, state)
        newer = list(github.runs.values())[-1]
        newer.event, newer.branch = "push", state.branch
        answer = github.answer

        def fail(method: str, path: str, *more: Any) -> Any:
            return (502, {"message": "x"}, {}) if ".." in path else answer(method, path, *more)

        github.answer = fail  # type: ignore[method-assign]
        assert after(execution, 90).status == Status.RUNNING
        github.answer = answer  # type: ignore[method-assign]
        assert after(execution, 90).status == Status.SKIPPED

    def test_a_displaced_re_run_takes_no_failure_back(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        execution = dispatch("failure-60.yml", rerun_failed_jobs=1, rerun_after_seconds=5)
        after(execution, 90)
        (state,) = github.runs.values()
        assert state.attempt == 2
        self.displace(github, state)
        execution = after(execution, 60)
        assert (execution.status, WorkflowRun.objects.get().attempts[0]["conclusion"]) == (Status.FAILED, "failure")

    def test_a_displaced_re_run_of_people_is_counted_once(
        self, dispatch: Dispatch, after: After, github: GitHub
    ) -> None:
        execution = after(dispatch("failure-5.yml"), 20)
        (state,) = github.runs.values()
        state.run_again()
        self.displace(github, state)
        first = after(execution, 200).duration_seconds
        assert after(execution, 700).duration_seconds == first


class TestOutage:
    def test_a_due_re_run_asks_no_more_often_than_a_poll(
        self, dispatch: Dispatch, after: After, github: GitHub, clock: PassingTime
    ) -> None:
        execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=5)
        after(execution, 7)
        github.calls.clear()
        github.fail_next = [(502, {})] * 500
        after(execution, 120)
        assert asked(github) < 15
        github.fail_next = []
        assert after(execution, 180).status == Status.FAILED

    def test_a_re_run_that_is_deleted_ends_within_minutes(
        self, dispatch: Dispatch, after: After, github: GitHub
    ) -> None:
        execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=5)
        after(execution, 20)
        assert WorkflowRun.objects.get().reruns == 1
        github.runs.clear()
        assert after(execution, 400).status == Status.FAILED

    def test_an_execution_that_is_cancelled_during_a_slow_look_harms_nothing(
        self, dispatch: Dispatch, github: GitHub, follower: RunFollower, clock: PassingTime, monkeypatch: Any
    ) -> None:
        one = dispatch("success-900.yml")
        other = dispatch("success-900.yml", github_repo="other")
        monkeypatch.setattr(following, "_PATIENCE_SECONDS", 0.05)
        held, answer = threading.Event(), github.answer

        def hold(method: str, path: str, *more: Any) -> Any:
            if "/repos/acme/shop/" in path:
                held.wait(5)
            return answer(method, path, *more)

        github.answer = hold  # type: ignore[method-assign]
        follower.poll()
        Execution.objects.filter(pk__in=[one.pk, other.pk]).update(status=Status.CANCELLED)
        follower.poll()
        held.set()
        monkeypatch.setattr(following, "_PATIENCE_SECONDS", 5.0)
        clock.advance(100)
        follower.poll()


def test_what_waits_for_its_re_run_can_be_cancelled(
    dispatch: Dispatch, after: After, github: GitHub, api: APIClient
) -> None:
    execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=3600)
    after(execution, 20)
    assert api.post(f"/api/v2/executions/{execution.pk}/cancel").status_code == 200
    assert after(execution, 30).status == Status.CANCELLED
    assert next(iter(github.runs.values())).attempt == 1


def test_a_re_run_asks_for_the_credentials_rights(dispatch: Dispatch, after: After, github: GitHub) -> None:
    execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=10)
    EnvironmentToken.objects.create(usable_by="users", repositories="acme/other")
    credential_rights.forget()
    assert after(execution, 60).status == Status.FAILED
    assert not [path for _, path, _ in github.calls if "rerun" in path]


def test_a_refused_re_run_stores_its_attempt_once(dispatch: Dispatch, after: After, github: GitHub) -> None:
    execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=0)
    after(execution, 4)
    answer = github.answer

    def refuse(method: str, path: str, *more: Any) -> Any:
        return (404, {"message": "x"}, {}) if "rerun" in path else answer(method, path, *more)

    github.answer = refuse  # type: ignore[method-assign]
    assert after(execution, 60).status == Status.FAILED
    assert len(WorkflowRun.objects.get().attempts) == 1


def test_the_wait_for_a_re_run_is_no_part_of_the_limit(dispatch: Dispatch, after: After) -> None:
    execution = dispatch(
        "failure_then_success-30.yml", rerun_failed_jobs=1, rerun_after_seconds=120, run_limit_minutes=1
    )
    assert after(execution, 300).status == Status.SUCCESS


def test_a_run_that_was_given_up_is_followed_when_its_jobs_are_run_again(
    dispatch: Dispatch, after: After, api: APIClient, github: GitHub
) -> None:
    execution = after(dispatch("success-150.yml", run_limit_minutes=1), 70)
    assert execution.status == Status.FAILED
    answer = api.post(f"/api/v2/executions/{execution.pk}/rerun", {"failed_only": True}, format="json")
    # It is still running there.
    assert answer.status_code == 202
    assert after(execution, 400).status == Status.SUCCESS


def test_a_later_success_shows_nothing_that_failed(dispatch: Dispatch, after: After, github: GitHub, api: APIClient,
                                                   admin: User) -> None:  # fmt: skip
    execution = after(dispatch("failure_then_success-5.yml", keep_step_log=True), 20)
    assert StepLog.objects.exists()
    next(iter(github.runs.values())).run_again()
    execution = after(execution, 700)
    assert execution.status == Status.SUCCESS
    assert (Report.objects.get().failures, StepLog.objects.exists()) == ([], False)
    assert api.get(f"/api/v2/executions/{execution.pk}").json()["report"]["status"] == "success"


def test_millions_of_elements_are_refused() -> None:
    from demo.github_stand_in import zipped

    bomb = zipped({"a.xml": b"<a>" + b"<b/>" * 3_000_000 + b"</a>"})
    with pytest.raises(ValueError, match="too many elements"):
        test_reports.read(bomb)
    deep = zipped({"a.xml": b"<a>" * 5000 + b"</a>" * 5000})
    with pytest.raises(ValueError, match="too many elements"):
        test_reports.read(deep)


ODD: list[dict[str, Any]] = [
    {"id": None}, {"id": True}, {"id": float("inf")}, {"conclusion": "fail\ud800ure"}, {"conclusion": ["x"]},
    {"updated_at": "9999-12-31T23:59:59-14:00"}, {"run_started_at": "0001-01-01T00:00:00+14:00"}, {"html_url": 5},
    {"run_attempt": 10**30}, {"path": None},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_run_stops_no_other(dispatch: Dispatch, after: After, github: GitHub, odd: dict[str, Any]) -> None:
    strange, good = dispatch("success-5.yml"), dispatch("success-5.yml")
    first, body = next(iter(github.runs.values())), Run.body

    def told(run: Run) -> dict[str, Any]:
        return {**body(run), **(odd if run is first else {})}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "body", told)
        assert after(good, 20).status == Status.SUCCESS
    assert Execution.objects.get(pk=strange.pk).status in {Status.RUNNING, Status.SUCCESS, Status.FAILED}


@pytest.mark.parametrize("artifacts", [5, None, [5], [{"id": "x"}]])
def test_odd_artifacts_change_no_outcome(dispatch: Dispatch, after: After, github: GitHub, artifacts: Any) -> None:
    answer = github.answer

    def odd(method: str, path: str, *more: Any) -> Any:
        return (200, {"artifacts": artifacts}, {}) if "/artifacts" in path else answer(method, path, *more)

    github.answer = odd  # type: ignore[method-assign]
    assert after(dispatch("success-5.yml", test_report="junit"), 20).status == Status.SUCCESS


def test_a_re_run_that_github_cannot_begin_is_asked_for_once_a_minute(
    dispatch: Dispatch, after: After, github: GitHub
) -> None:
    execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=0)
    answer = github.answer

    def fail(method: str, path: str, *more: Any) -> Any:
        return (502, {"message": "x"}, {}) if "rerun" in path else answer(method, path, *more)

    github.answer = fail  # type: ignore[method-assign]
    after(execution, 300)
    assert 2 <= len([path for _, path, _ in github.calls if "rerun" in path]) <= 6
    github.answer = answer  # type: ignore[method-assign]
    after(execution, 200)
    assert WorkflowRun.objects.get().reruns == 1


def test_a_known_token_is_in_no_annotation(dispatch: Dispatch, after: After, github: GitHub, settings: Any) -> None:
    settings.GITHUB_TOKEN = "a-token-that-is-known"
    github.annotations = [{"path": "a.ts", "start_line": 1, "annotation_level": "failure", "title": "",
                           "message": "used a-token-that-is-known"}]  # fmt: skip
    execution = after(dispatch("failure-5.yml"), 20)
    assert "a-token-that-is-known" not in execution.error_message + str(Report.objects.get().failures)


def test_a_test_run_is_for_a_team_too(github: GitHub, api: APIClient, team: PicTeam) -> None:
    other = PicTeam.objects.create(name="Pay", slug="pay", slack_handle="@pay")
    EnvironmentToken.objects.create(usable_by="users", repositories="").teams.set([other])
    credential_rights.forget()
    body = {"github_owner": "acme", "github_repo": "shop", "github_workflow_name": "success-1.yml"}
    for given, word in ({}, "choose the PIC team"), ({"pic_team": team.slug}, "this PIC team"):
        answer = api.post("/api/v2/jobs/test-run", {**body, **given}, format="json")
        assert (answer.status_code, word in str(answer.json())) == (400, True)
    assert api.post("/api/v2/jobs/test-run", {**body, "pic_team": "pay"}, format="json").status_code == 200


def test_a_limit_that_a_test_run_meets_pauses_the_credential(github: GitHub, api: APIClient, settings: Any) -> None:
    settings.GITHUB_TOKEN = "a-token"
    body = {"github_owner": "acme", "github_repo": "shop", "github_workflow_name": "success-1.yml"}
    github.fail_next = [(429, {"Retry-After": "300"})]
    assert api.post("/api/v2/jobs/test-run", body, format="json").json()["ok"] is False
    assert set(budgets.blocked_until([None])) == {None}
    asked_before = len(github.calls)
    refused = api.post("/api/v2/jobs/test-run", body, format="json")
    assert (refused.status_code, refused.json()["error"]) == (429, "Rate limit reached")
    assert 290 <= int(refused["Retry-After"]) <= 300
    assert len(github.calls) == asked_before
