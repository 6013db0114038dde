"""Workflow runs are followed to their end, against a stand-in for GitHub over real HTTP."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest
import requests
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions.models import Execution, Status
from executions.recovery import recover
from executions.runs import ends, listing
from executions.runs import follower as run_follower
from executions.runs.follower import RunFollower
from executions.services import trigger_now
from executions.targets.github import api as github_api
from jobs.models import Job
from notifications.models import Event
from notifications.outcomes import notify_pending
from settings_app.models import GitHubCredential
from tests.support.certificates import private_key
from tests.support.clock import PassingTime
from tests.support.executions import ended
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def followed(clock: PassingTime, follower: RunFollower) -> Callable[[Execution], Execution]:
    """Polls until the run has ended; returns the execution."""

    def follow(execution: Execution) -> Execution:
        for _ in range(1000):
            follower.poll()
            execution = Execution.objects.get(pk=execution.pk)
            if execution.status != Status.RUNNING:
                return execution
            clock.advance(0.5)
        raise AssertionError("the run was not followed to its end")

    return follow


def test_an_accepted_dispatch_is_not_yet_a_success(dispatch: Callable[..., Execution], follower: RunFollower) -> None:
    execution = dispatch("success-60.yml")
    follower.poll()
    execution.refresh_from_db()
    assert (execution.status, execution.response_status) == (Status.RUNNING, 200)
    assert execution.run_url == f"https://github.com/acme/shop/actions/runs/{execution.run_id}"
    assert execution.job.last_status == Status.RUNNING


@pytest.mark.parametrize(
    ("conclusion", "status", "words"),
    [
        ("success", Status.SUCCESS, ""),
        ("neutral", Status.SUCCESS, ""),
        ("failure", Status.FAILED, "The workflow run failed"),
        ("cancelled", Status.FAILED, "was cancelled"),
        ("timed_out", Status.FAILED, "ran out of GitHub's time limit"),
        ("action_required", Status.FAILED, "waits for an approval"),
        ("startup_failure", Status.FAILED, "could not be started"),
    ],
)
def test_the_conclusion_decides(
    dispatch: Callable[..., Execution], conclusion: str, status: Status, words: str, followed: Callable[..., Execution]
) -> None:
    execution = followed(dispatch(f"{conclusion}-1.yml"))
    assert (execution.status, execution.run_conclusion) == (status, conclusion)
    assert (execution.run_attempt, execution.run_seconds) == (1, 1.0)
    assert words in execution.error_message
    assert (execution.run_url in execution.error_message) is bool(words)
    assert execution.job.last_status == status
    notify_pending()
    titles = list(Event.objects.filter(execution_id=execution.pk).values_list("title", flat=True))
    assert titles == ["Job Failed" if words else "Job Completed"]


def test_a_failed_run_tells_what_failed(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution], github: GitHub, api: APIClient, browser: Any
) -> None:
    github.failing_jobs = ["e2e (chrome)", "e2e (firefox)"]
    execution = followed(dispatch("failure-0.yml"))
    what = "e2e (chrome) > Run Playwright: login.spec.ts:41: Timed out 5000ms waiting for expect(locator).toBeVisible()"
    assert execution.error_message == (
        f"The workflow run failed: {what}; e2e (firefox) > Run Playwright. {execution.run_url}"
    )
    notify_pending()
    assert what in Event.objects.get(execution_id=execution.pk).message
    report = api.get(f"/api/v2/executions/{execution.pk}").json()["report"]
    assert [job["name"] for job in report["failures"]] == ["e2e (chrome)", "e2e (firefox)"]
    page = browser.get(f"/admin/executions/execution/{execution.pk}/change/").content.decode()
    assert f'href="{execution.run_url}/job/{100 * (execution.run_id or 0) + 11}"' in page
    assert "expect(locator).toBeVisible()" in page


def test_a_run_that_ends_well_is_asked_nothing_more(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution], github: GitHub
) -> None:
    followed(dispatch("success-0.yml"))
    assert not [path for _, path, _ in github.calls if path.endswith(("/jobs", "/annotations"))]


def test_many_runs_that_fail_at_once_all_tell(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution], monkeypatch: Any
) -> None:
    monkeypatch.setattr(run_follower, "_MOST_ENDS", 2)
    executions = [dispatch("failure-0.yml") for _ in range(5)]
    assert ["Run Playwright" in followed(one).error_message for one in executions] == [True] * 5


def test_an_end_does_not_wait_for_what_failed(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution], monkeypatch: Any
) -> None:
    execution = dispatch("failure-0.yml")
    monkeypatch.setattr("executions.targets.github.failures._told", lambda *_: None)
    assert followed(execution).error_message == f"The workflow run failed. {execution.run_url}"


def test_an_older_server_is_asked_again_without_details_once(
    dispatch: Callable[..., Execution], github: GitHub
) -> None:
    github.knows_run_details = False
    execution = dispatch()
    assert (execution.status, execution.response_status, execution.run_id) == (Status.SUCCESS, 204, None)
    assert [status for *_, status in github.calls] == [422, 204]


def test_a_job_need_not_wait(dispatch: Callable[..., Execution], github: GitHub) -> None:
    execution = dispatch("failure-0.yml", wait_for_run=False)
    assert (execution.status, execution.response_status) == (Status.SUCCESS, 204)
    assert [status for *_, status in github.calls] == [204]


def test_the_runs_of_a_repository_are_asked_for_together_and_conditionally(
    dispatch: Callable[..., Execution], github: GitHub, follower: RunFollower, clock: PassingTime
) -> None:
    executions = [dispatch("success-60.yml") for _ in range(3)]
    github.calls.clear()
    for _ in range(6):
        follower.poll()
        clock.advance(2)
    listings = [status for method, path, status in github.calls if path.endswith("/actions/runs")]
    assert len(listings) == len(github.calls) <= 6
    assert listings[-1] == 304
    assert {Execution.objects.get(pk=one.pk).status for one in executions} == {Status.RUNNING}


def test_the_rate_limit_is_kept(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution], clock: PassingTime
) -> None:
    execution = dispatch("success-0.yml")
    github.calls.clear()
    github.fail_next = [
        (403, {"Retry-After": "30"}),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 60)}),
    ]
    started = clock.monotonic()
    assert followed(execution).status == Status.SUCCESS
    assert 58 <= clock.monotonic() - started <= 70
    assert [status for *_, status in github.calls] == [403, 429, 200]


def test_server_errors_are_waited_out(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution]
) -> None:
    execution = dispatch("failure-0.yml")
    github.fail_next = [(502, {}), (500, {})]
    assert followed(execution).error_message.startswith("The workflow run failed")


def test_another_leader_goes_on(
    dispatch: Callable[..., Execution],
    followed: Callable[..., Execution],
    new_follower: Callable[[], RunFollower],
) -> None:
    execution = dispatch("success-1.yml")
    new_follower().poll()
    assert recover() == 0
    assert followed(execution).status == Status.SUCCESS


def test_a_token_that_is_revoked_half_way_is_told(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution]
) -> None:
    credential = GitHubCredential.objects.create(name="CI", token="short-lived")
    execution = dispatch("success-60.yml", github_credential="CI")
    github.revoked.add("short-lived")
    execution = followed(execution)
    assert execution.status == Status.FAILED
    assert "refuses the token" in execution.error_message
    assert execution.run_url in execution.error_message
    assert "short-lived" not in execution.error_message
    credential.refresh_from_db()
    assert "expired or was revoked" in credential.problem


def test_a_credential_that_is_gone_is_told(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GitHub App that was suspended or is no longer installed."""
    GitHubCredential.objects.create(name="CI", token="short-lived")
    execution = dispatch("success-60.yml", github_credential="CI")

    def gone(credential_id: Any) -> str:
        raise github_api.NoToken("GitHub gave the App no token: status 403", is_final=True)

    monkeypatch.setattr(github_api, "token_of", gone)
    execution = followed(execution)
    assert execution.status == Status.FAILED
    assert "cannot be asked: GitHub gave the App no token: status 403" in execution.error_message


def test_repositories_that_hang_take_no_thread_from_the_others(
    dispatch: Callable[..., Execution], follower: RunFollower, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dispatch("success-1.yml")
    for number in range(12):
        slow = dispatch("success-900.yml", github_repo="shop")
        Execution.objects.filter(pk=slow.pk).update(target=f"acme/slow{number}/success-900.yml")
    asked, hang = github_api.get, threading.Event()

    def get(path: str, *arguments: Any, **more: Any) -> Any:
        if "/acme/slow" not in path:
            return asked(path, *arguments, **more)
        # The first look fails; from then on the server hangs.
        if clock.monotonic() > begun + 5:
            hang.wait(20)
        raise requests.ConnectionError

    begun = clock.monotonic()
    monkeypatch.setattr(github_api, "get", get)
    monkeypatch.setattr(run_follower, "_PATIENCE_SECONDS", 0.5)
    follower.poll()

    def good_is_over() -> bool:
        clock.advance(30)
        follower.poll()
        return Execution.objects.get(pk=good.pk).status == Status.SUCCESS

    try:
        wait_until(good_is_over, 15)
    finally:
        hang.set()


def test_a_closed_follower_begins_no_more_looks(
    dispatch: Callable[..., Execution], follower: RunFollower, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        execution = dispatch("success-900.yml")
        Execution.objects.filter(pk=execution.pk).update(target=f"acme/slow{number}/success-900.yml")
    asked, hang = list[str](), threading.Event()

    def get(path: str, *arguments: Any, **more: Any) -> Any:
        asked.append(path)
        hang.wait(20)
        raise requests.ConnectionError

    monkeypatch.setattr(github_api, "get", get)
    monkeypatch.setattr(run_follower, "_PATIENCE_SECONDS", 0.0)
    clock.advance(10)
    try:
        follower.poll()
        wait_until(lambda: len(asked) == 8)
        follower.close()
    finally:
        hang.set()
    follower.close(wait=True)
    assert len(asked) == 8


def test_a_repository_whose_look_failed_once_is_looked_at_again(
    dispatch: Callable[..., Execution], follower: RunFollower, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next look is not waited for; it ends after `poll`, when no other repository is followed any more."""
    good, slow = dispatch("success-1.yml"), dispatch("success-20.yml")
    Execution.objects.filter(pk=slow.pk).update(target="acme/slow/success-20.yml")
    asked, answers, polled = github_api.get, threading.Event(), list[str]()

    def get(path: str, *arguments: Any, **more: Any) -> Any:
        if "/acme/slow" in path:
            polled.append(path)
            if len(polled) == 1:
                raise requests.ConnectionError
            answers.wait(20)
        return asked(path.replace("/acme/slow", "/acme/shop"), *arguments, **more)

    monkeypatch.setattr(github_api, "get", get)
    follower.poll()
    clock.advance(10)
    follower.poll()
    assert Execution.objects.get(pk=good.pk).status == Status.SUCCESS
    wait_until(lambda: len(polled) == 2)
    answers.set()
    futures.wait(list(follower._under_way))
    clock.advance(60)
    follower.poll()
    assert Execution.objects.get(pk=slow.pk).status == Status.SUCCESS


def test_the_requests_of_a_minute_are_shared(follower: RunFollower) -> None:
    def paces(followed: int, watched: int) -> tuple[float | None, float | None]:
        keys = [run_follower.Key("acme", str(number), None, number >= followed) for number in range(followed + watched)]
        follower._polls = {key: run_follower.RepositoryPoll(3.0) for key in keys}
        follower._share_requests()
        return follower._soonest.get((None, False)), follower._soonest.get((None, True))

    soonest = run_follower.SOONEST_SECONDS
    assert paces(1, 0) == (soonest, None)
    assert paces(57, 0) == (60, None)
    # What is watched takes a small share of what is open, and all if nothing is.
    assert paces(52, 50) == (60, 600)
    assert paces(0, 57) == (None, 60)


def test_the_end_of_a_run_that_was_given_up_corrects_the_outcome(
    dispatch: Callable[..., Execution], follower: RunFollower, clock: PassingTime
) -> None:
    execution = dispatch("success-900.yml", run_limit_minutes=5)

    def at(seconds: float) -> Execution:
        while timezone.now() < execution.started_at + timezone.timedelta(seconds=seconds):
            clock.advance(10)
            follower.poll()
        return Execution.objects.get(pk=execution.pk)

    assert at(400).status == Status.FAILED
    ended = at(1500)
    assert (ended.status, "flaky" in ended.output) == (Status.SUCCESS, False)
    assert ended.workflow_run.watched_until is None


def test_a_run_that_takes_too_long_is_given_up(
    dispatch: Callable[..., Execution], followed: Callable[..., Execution]
) -> None:
    execution = dispatch("success-60.yml", run_limit_minutes=5)
    Execution.objects.filter(pk=execution.pk).update(started_at=timezone.now() - timezone.timedelta(minutes=6))
    execution = followed(execution)
    assert execution.status == Status.FAILED
    assert "not over after 5 minutes" in execution.error_message


def test_a_run_that_is_deleted_is_gone_but_not_at_the_first_404(
    dispatch: Callable[..., Execution],
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    followed: Callable[..., Execution],
    follower: RunFollower,
    clock: PassingTime,
) -> None:
    execution = dispatch("success-60.yml")
    github.runs.clear()
    for _ in range(20):
        follower.poll()
        clock.advance(2)
    execution.refresh_from_db()
    assert execution.status == Status.RUNNING
    monkeypatch.setattr(listing, "MISSING_AFTER", dt.timedelta(0))
    assert "is gone from GitHub" in followed(execution).error_message


def test_the_end_of_a_run_is_not_lost_behind_an_unchanged_listing(
    dispatch: Callable[..., Execution],
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    followed: Callable[..., Execution],
) -> None:
    """The outcome cannot be stored when GitHub tells it first; every later answer is 304."""
    execution = dispatch("success-0.yml")
    real, failures = ends.store, [1]

    def store(batch: Any) -> None:
        if failures:
            failures.pop()
            raise OperationalError("the database is away")
        real(batch)

    monkeypatch.setattr(ends, "store", store)
    github.calls.clear()
    execution = followed(execution)
    assert (execution.status, execution.run_conclusion) == (Status.SUCCESS, "success")
    assert [status for *_, status in github.calls] == [200, 304]


def test_an_older_run_that_cannot_be_asked_for_holds_up_no_other(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution]
) -> None:
    old, new = dispatch("success-0.yml"), dispatch("success-0.yml")
    Execution.objects.filter(pk=old.pk).update(run_id=5)
    assert followed(new).status == Status.SUCCESS
    old.refresh_from_db()
    assert old.status == Status.RUNNING


@pytest.mark.parametrize("body", ['{"workflow_runs": null}', "[]", '{"workflow_runs": [{}]}', "nonsense"])
def test_odd_answers_about_one_repository_hold_up_no_other(
    dispatch: Callable[..., Execution],
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    followed: Callable[..., Execution],
) -> None:
    odd, good = dispatch("success-0.yml"), dispatch("success-0.yml")
    Execution.objects.filter(pk=odd.pk).update(target="acme/odd/success-0.yml")
    real = github_api.get

    def get(path: str, token: str, **more: Any) -> Any:
        answer = real(path, token, **more)
        if "/odd/" in path:
            answer._content, answer.status_code = body.encode(), 200
        return answer

    monkeypatch.setattr(github_api, "get", get)
    assert followed(good).status == Status.SUCCESS


def test_a_runs_own_token_is_not_followed_with_another(
    make_job: Callable[..., Job], admin: User, github: GitHub, settings: Any
) -> None:
    settings.GITHUB_TOKEN = ""
    job = make_job(github_owner="acme", github_repo="shop", github_workflow_name="success-60.yml")
    execution = trigger_now(job.pk, {"github_token": "my own"}, by=admin)
    assert ended(execution).status == Status.SUCCESS


def test_an_apps_token_that_ends_early_is_renewed(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution], follower: RunFollower
) -> None:
    GitHubCredential.objects.create(name="CI", token="first")
    execution = dispatch("success-0.yml", github_credential="CI")
    github.revoked.add("first")
    follower.poll()
    GitHubCredential.objects.update(token=encrypt("second"))
    assert followed(execution).status == Status.SUCCESS


def test_a_dispatch_waits_out_a_database_that_is_away_for_a_moment(
    dispatch: Callable[..., Execution], github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    GitHubCredential.objects.create(name="CI", token="good")
    real, failures = github_api.token_of, [1]

    def token_of(credential_id: Any) -> str:
        if failures:
            failures.pop()
            raise OperationalError("the connection is closed")
        return real(credential_id)

    monkeypatch.setattr(github_api, "token_of", token_of)
    assert dispatch(github_credential="CI").run_id


def test_the_ref_of_the_job_wins(dispatch: Callable[..., Execution]) -> None:
    assert (
        "on branch release/2"
        in dispatch(github_ref="release/2", metadata={"branchDetails": "x"}, wait_for_run=False).output
    )


def test_an_app_dispatches_with_its_installations_token(
    dispatch: Callable[..., Execution], github: GitHub, followed: Callable[..., Execution]
) -> None:
    credential = GitHubCredential.objects.create(
        name="App", kind="app", app_id="7", installation_id="9", private_key=private_key()
    )
    for _ in range(2):
        assert followed(dispatch(github_credential="App")).status == Status.SUCCESS
    minted = [path for _, path, _ in github.calls if path.startswith("/app/")]
    assert minted == ["/app/installations/9/access_tokens"]
    assert github_api.check(credential)["can_dispatch"] == ["acme/shop"]
    credential.private_key = "nonsense"
    credential.save()
    github_api.forget(credential.pk)
    execution = dispatch(github_credential="App")
    assert execution.status == Status.FAILED
    assert "private key cannot be read" in execution.error_message


def test_a_check_tells_repositories_and_the_end_of_the_token(github: GitHub) -> None:
    credential = GitHubCredential.objects.create(name="CI", token="good")
    assert github_api.check(credential) == {
        "repositories": ["acme/docs", "acme/shop"],
        "can_dispatch": ["acme/shop"],
        "limit": "4999 of 5000",
        "scopes": "repo",
    }
    credential.refresh_from_db()
    assert credential.expires_at is not None
    assert credential.expires_at.year == 2099
    GitHubCredential.objects.filter(pk=credential.pk).update(token="revoked")
    with pytest.raises(github_api.NoToken, match="expired or was revoked"):
        github_api.check(credential)


def test_a_tokens_rate_limit_counts_for_all_its_repositories(
    dispatch: Callable[..., Execution], github: GitHub, make_job: Callable[..., Job], admin: User, follower: RunFollower
) -> None:
    dispatch("success-0.yml")
    other = make_job(name="other", github_owner="acme", github_repo="docs", github_workflow_name="success-0.yml")
    execution = trigger_now(other.pk, {}, by=admin)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).run_id)
    github.calls.clear()
    # Both may be asked in the same round, in parallel; after that neither.
    github.fail_next = [(403, {"Retry-After": "30"})] * 2
    for _ in range(3):
        follower.poll()
    assert [status for _, path, status in github.calls if "/actions/runs" in path] in ([403], [403, 403])


def test_one_row_that_cannot_be_read_and_one_server_that_hangs_stop_no_other(
    dispatch: Callable[..., Execution], follower: RunFollower, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, slow, good = dispatch("success-1.yml"), dispatch("success-1.yml"), dispatch("success-1.yml")
    Execution.objects.filter(pk=odd.pk).update(target="nothing")
    Execution.objects.filter(pk=slow.pk).update(target="acme/slow/success-1.yml")
    asked, hang = github_api.get, threading.Event()

    def get(path: str, *arguments: Any, **more: Any) -> Any:
        if "/acme/slow/" in path:
            hang.wait(10)
        return asked(path, *arguments, **more)

    monkeypatch.setattr(github_api, "get", get)
    clock.advance(10)
    polling = threading.Thread(target=follower.poll)
    polling.start()
    wait_until(lambda: Execution.objects.get(pk=good.pk).status == Status.SUCCESS)
    hang.set()
    polling.join()
    done = Execution.objects.get(pk=odd.pk)
    assert (done.status, "cannot be read" in done.error_message) == (Status.FAILED, True)
