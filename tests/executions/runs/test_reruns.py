"""Failed jobs are run again: for the job, by a person here, and by people on GitHub."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from demo.github_stand_in import GitHub
from executions.models import Execution, Rollup, Status, WorkflowRun
from executions.runs.follower import RunFollower
from jobs.models import Job
from notifications.models import Event, FailureState
from notifications.outcomes import notify_pending
from tests.executions.runs.conftest import Dispatch, run
from tests.support.clock import PassingTime

pytestmark = pytest.mark.django_db(transaction=True)
After = Callable[[Execution, float], Execution]


def again(github: GitHub) -> int:
    """How often GitHub was asked to run something again."""
    return sum(path.endswith(("/rerun-failed-jobs", "/rerun")) for method, path, _ in github.calls if method == "POST")


def attempts(execution: Execution) -> list[tuple[int, str]]:
    row = WorkflowRun.objects.get(pk=execution.pk)
    return [(one["attempt"], one["conclusion"]) for one in row.attempts]


class TestForTheJob:
    def test_a_run_that_passes_at_a_later_attempt_is_a_flaky_success(
        self, dispatch: Dispatch, after: After, github: GitHub
    ) -> None:
        execution = dispatch("failure_then_success-10.yml", rerun_failed_jobs=2, rerun_after_seconds=30)
        execution = after(execution, 20)
        # The execution goes on, and nobody is alarmed.
        assert (execution.status, again(github)) == (Status.RUNNING, 0)
        execution = after(execution, 120)
        assert (execution.status, execution.run_attempt, again(github)) == (Status.SUCCESS, 2, 1)
        assert attempts(execution) == [(1, "failure"), (2, "success")]
        assert WorkflowRun.objects.get().is_flaky
        assert "at attempt 2: flaky" in execution.output
        notify_pending()
        assert not Event.objects.filter(type="error").exists()

    def test_alerts_wait_for_the_last_attempt(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        execution = dispatch("failure-5.yml", rerun_failed_jobs=3, rerun_after_seconds=10, alert_slack=True)
        execution = after(execution, 300)
        assert (execution.status, again(github)) == (Status.FAILED, 3)
        assert [number for number, _ in attempts(execution)] == [1, 2, 3, 4]
        notify_pending()
        assert FailureState.objects.get().failures == 1

    def test_a_job_that_asks_for_none_gets_none(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        assert after(dispatch("failure-5.yml"), 30).status == Status.FAILED
        assert again(github) == 0

    @pytest.mark.parametrize(("conclusion", "count"), [("timed_out", 1), ("startup_failure", 1), ("cancelled", 0)])
    def test_which_ends_are_run_again(
        self, dispatch: Dispatch, after: After, github: GitHub, conclusion: str, count: int
    ) -> None:
        after(dispatch(f"{conclusion}_then_success-5.yml", rerun_failed_jobs=1, rerun_after_seconds=0), 60)
        assert again(github) == count

    def test_a_refusal_ends_it_with_what_failed(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        execution = dispatch("failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=60)
        after(execution, 20)
        answer = github.answer

        def refuse(method: str, path: str, *more: Any) -> Any:
            refused = method == "POST" and "rerun" in path
            return (403, {"message": "Resource not accessible"}, {}) if refused else answer(method, path, *more)

        github.answer = refuse  # type: ignore[method-assign]
        execution = after(execution, 120)
        assert (execution.status, again(github)) == (Status.FAILED, 1)
        assert "e2e (chrome)" in execution.error_message

    def test_a_leader_that_died_after_asking_asks_no_second_time(
        self, dispatch: Dispatch, github: GitHub, clock: PassingTime, new_follower: Callable[[], RunFollower]
    ) -> None:
        execution = dispatch("failure_then_success-300.yml", rerun_failed_jobs=1, rerun_after_seconds=0)
        (state,) = github.runs.values()
        clock.advance(301)
        new_follower().poll()
        # GitHub got the request, but what followed from it was not stored.
        state.run_again()
        clock.advance(10)
        follower = new_follower()
        follower.poll()
        assert again(github) == 0
        for _ in range(40):
            clock.advance(10)
            follower.poll()
        execution.refresh_from_db()
        assert (execution.status, state.attempt) == (Status.SUCCESS, 2)


class TestByPeople:
    @pytest.fixture
    def failed(self, dispatch: Dispatch, after: After) -> Execution:
        execution = after(dispatch("failure_then_success-5.yml", alert_slack=True), 20)
        assert execution.status == Status.FAILED
        notify_pending()
        return execution

    def test_the_latest_attempt_decides_and_the_job_has_recovered(
        self, failed: Execution, after: After, github: GitHub
    ) -> None:
        assert FailureState.objects.get().since is not None
        (state,) = github.runs.values()
        state.run_again()
        execution = after(failed, 700)
        assert (execution.status, execution.job.last_status) == (Status.SUCCESS, Status.SUCCESS)
        assert WorkflowRun.objects.get().is_flaky
        counts = Rollup.objects.get()
        assert (counts.success, counts.failed) == (1, 0)
        notify_pending()
        assert not FailureState.objects.filter(since__isnull=False).exists()

    def test_it_is_watched_for_a_day(self, failed: Execution, follower: RunFollower, clock: PassingTime,
                                     github: GitHub) -> None:  # fmt: skip
        clock.advance(25 * 3600)
        github.calls.clear()
        follower.poll()
        assert github.calls == []

    def test_an_older_run_changes_the_state_of_its_job_no_more(
        self, failed: Execution, after: After, github: GitHub, admin: User
    ) -> None:
        Job.objects.update(github_workflow_name="failure-5.yml")
        newer = after(run(Job.objects.get(), admin), 20)
        assert newer.status == Status.FAILED
        notify_pending()
        next(iter(github.runs.values())).run_again()
        execution = after(failed, 700)
        assert (execution.status, Job.objects.get().last_status) == (Status.SUCCESS, Status.FAILED)
        notify_pending()
        assert FailureState.objects.get().failures == 2

    def test_the_api_runs_failed_jobs_again(
        self, failed: Execution, api: APIClient, github: GitHub, after: After
    ) -> None:
        page = f"/api/v2/executions/{failed.pk}/rerun"
        answer = api.post(page, {"failed_only": True}, format="json")
        assert (answer.status_code, again(github)) == (202, 1)
        assert answer.json()["execution"]["id"] == str(failed.pk)
        assert after(failed, 90).status == Status.SUCCESS
        # It goes on: another press while it runs is no error.
        assert Execution.objects.count() == 1

    def test_what_cannot_be_run_again_says_why(
        self, failed: Execution, api: APIClient, github: GitHub, clock: PassingTime
    ) -> None:
        page = f"/api/v2/executions/{failed.pk}/rerun"
        github.fail_next = [(404, {})] * 2
        answer = api.post(page, {"failed_only": True}, format="json")
        assert (answer.status_code, answer.json()["error"]) == (409, "Not run again")
        assert "GitHub answered 404" in answer.json()["message"]
        Execution.objects.update(run_id=None)
        answer = api.post(page, {"failed_only": True}, format="json")
        assert "no workflow run" in answer.json()["message"]

    def test_a_viewer_may_not(self, failed: Execution, viewer: User, client_of: Callable[[User], APIClient],
                              github: GitHub) -> None:  # fmt: skip
        answer = client_of(viewer).post(f"/api/v2/executions/{failed.pk}/rerun", {"failed_only": True}, format="json")
        assert (answer.status_code, again(github)) == (403, 0)


def test_a_run_is_known_to_be_over_by_its_state_and_not_by_its_number(
    dispatch: Dispatch, after: After, github: GitHub
) -> None:
    execution = dispatch("failure_then_success-60.yml", rerun_failed_jobs=1, rerun_after_seconds=0)
    execution = after(execution, 70)
    # GitHub names the old attempt while the new one is queued.
    assert execution.status == Status.RUNNING
    assert WorkflowRun.objects.get().reruns == 1
    assert after(execution, 120).status == Status.SUCCESS


def test_a_wait_for_an_approval_is_told_once(
    dispatch: Dispatch, after: After, github: GitHub, clock: PassingTime
) -> None:
    execution = dispatch("waiting.yml", approval_alert_minutes=10)
    after(execution, 120)
    assert not Event.objects.filter(title__icontains="approval").exists()
    execution = after(execution, 12 * 60)
    assert execution.status == Status.RUNNING
    assert Event.objects.filter(title__icontains="approval").count() == 1
    assert WorkflowRun.objects.get().waiting_since is not None
    (state,) = github.runs.values()
    state.conclusion, state.seconds, state.began = "success", 1.0, clock.now()
    assert after(execution, 90).status == Status.SUCCESS
    assert dt.timedelta(0) < execution.started_at - dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
