"""GitHub's webhook makes the end of a run known at once; forged, repeated and lost deliveries change nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions.models import Execution, Status, WorkflowRun
from executions.runs import hooks
from executions.runs.follower import RunFollower
from settings_app.models import GitHubCredential
from tests.executions.runs.conftest import Dispatch
from tests.support.clock import PassingTime

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a secret of GitHub's webhook"
After = Callable[[Execution, float], Execution]


@pytest.fixture
def site(live_server: object, github: GitHub) -> str:
    address = f"{live_server}/hooks/github"
    github.hook = address, SECRET
    return address


@pytest.fixture
def credential(db: None) -> GitHubCredential:
    return GitHubCredential.objects.create(name="ci", token=encrypt("ghp_x"), webhook_secret=SECRET)


def signature_of(body: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def calls(github: GitHub) -> list[str]:
    return [path for method, path, _ in github.calls if method == "GET"]


def test_the_end_of_a_run_is_known_at_once(
    site: str, credential: GitHubCredential, dispatch: Dispatch, github: GitHub, follower: RunFollower,
    clock: PassingTime,
) -> None:  # fmt: skip
    execution = dispatch("success-600.yml")
    # The interval has grown.
    for _ in range(30):
        follower.poll()
        clock.advance(10)
    (state,) = github.runs.values()
    state.seconds = 0
    github.calls.clear()
    clock.advance(1)
    assert github.tell(state).status_code == 202
    follower.poll()
    execution.refresh_from_db()
    assert execution.status == Status.SUCCESS
    # One request, for this run alone.
    assert calls(github) == [f"/repos/acme/shop/actions/runs/{state.id}"]


def test_forged_and_unsigned_deliveries_are_refused(
    site: str, credential: GitHubCredential, dispatch: Dispatch, github: GitHub, client: Client
) -> None:
    dispatch("success-600.yml")
    (state,) = github.runs.values()
    assert github.tell(state, secret="another").status_code == 403
    for signature in ("", "sha256=", "sha1=abc", "sha256=" + "0" * 64, "sha256=日本"):
        answer = client.post("/hooks/github", {"workflow_run": {"id": state.id}}, content_type="application/json",
                             headers={"X-Hub-Signature-256": signature.encode().decode("latin-1"),
                                      "X-GitHub-Event": "workflow_run"})  # fmt: skip
        assert (answer.status_code, answer.json()["error"]) == (403, "Invalid signature")
    assert not WorkflowRun.objects.exists()


def test_without_a_secret_nothing_is_accepted(site: str, dispatch: Dispatch, github: GitHub) -> None:
    dispatch("success-600.yml")
    (state,) = github.runs.values()
    assert github.tell(state, secret="").status_code == 403


def test_a_delivery_that_is_repeated_later_changes_nothing(
    site: str, credential: GitHubCredential, dispatch: Dispatch, after: After, github: GitHub
) -> None:
    execution = dispatch("failure_then_success-5.yml")
    (state,) = github.runs.values()
    execution = after(execution, 20)
    assert execution.status == Status.FAILED
    state.run_again()
    assert after(execution, 300).status == Status.SUCCESS
    # The delivery of the first end once more.
    state.conclusion = "failure"
    answer = github.tell(state)
    state.conclusion = "success"
    assert answer.json() == {"message": "Nothing to do"}
    assert after(execution, 10).status == Status.SUCCESS


def test_runs_that_are_not_ours_cost_nothing(site: str, credential: GitHubCredential, github: GitHub,
                                             dispatch: Dispatch, follower: RunFollower) -> None:  # fmt: skip
    dispatch("success-600.yml")
    (state,) = github.runs.values()
    state.id = 5
    assert github.tell(state).json() == {"message": "Nothing to do"}
    assert not WorkflowRun.objects.exists()
    for odd in (None, "7", True, -1, 2**70, [], 1.5):
        assert hooks.run_has_changed(odd) is False


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"workflow_run": null}', b"\xff\xfe", b"[" * 5000])
def test_a_signed_body_that_names_no_run_is_refused(body: bytes, credential: GitHubCredential, client: Client) -> None:
    signature = signature_of(body)
    answer = client.post("/hooks/github", body, content_type="application/json",
                         headers={"X-Hub-Signature-256": signature, "X-GitHub-Event": "workflow_run"})  # fmt: skip
    assert answer.status_code == 400


def test_a_ping_is_answered(credential: GitHubCredential, client: Client) -> None:
    body = json.dumps({"zen": "x"}).encode()
    signature = signature_of(body)
    answer = client.post("/hooks/github", body, content_type="application/json",
                         headers={"X-Hub-Signature-256": signature, "X-GitHub-Event": "ping"})  # fmt: skip
    assert (answer.status_code, answer.json()) == (202, {"message": "pong"})


def test_the_secret_is_shown_nowhere(
    credential: GitHubCredential, api: APIClient, admin: User, browser: Client
) -> None:
    page = f"/admin/settings_app/githubcredential/{credential.pk}/change/"
    assert SECRET not in browser.get(page).content.decode()
