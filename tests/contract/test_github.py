"""Contract, section 5: dispatching workflows, against a stand-in on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.contract import make_job, ok, run, team
from tests.support.installation import Client, Installation
from tests.support.target import Arrival, Target

PATH = "/repos/acme/shop/actions/workflows/{}/dispatches"


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory, _target: Target) -> Iterator[Client]:
    """An admin of an installation whose GitHub is the target."""
    env = {"GITHUB_API_URL": _target.url, "GITHUB_TOKEN": "token-of-the-environment"}
    with Installation(tmp_path_factory.mktemp("github"), schedulers=0, env=env) as installation:
        team(installation.admin)
        yield installation.admin


def serve(target: Target, *workflows: str, status: int = 204, body: bytes = b"") -> None:
    """Let the stand-in know these workflow files; others are 404."""

    def missing(_: Arrival) -> tuple[int, dict[str, str], bytes]:
        return 404, {}, b'{"message": "Not Found"}'

    for name in ("build", "build.yml", "build.yaml", "12345", "ci.yml"):
        target.answers[PATH.format(name)] = (lambda _: (status, {}, body)) if name in workflows else missing


def job_of(client: Client, workflow: str = "build", **changes: Any) -> dict[str, Any]:
    return make_job(client, target_url=f"acme/shop/{workflow}", **changes)


def test_a_dispatch_to_the_letter(github: Client, target: Target) -> None:
    serve(target, "ci.yml")
    metadata = {
        "branchDetails": "release/1",
        "n": 5,
        "half": 0.5,
        "yes": True,
        "no": None,
        "list": [1, "あ"],
        "map": {"a": 1},
        "text": "as it is",
    }
    execution = run(github, job_of(github, "ci.yml", metadata=metadata)["id"])
    call = target.arrivals[0]
    assert (call.method, call.path) == ("POST", PATH.format("ci.yml"))
    assert call.headers["Authorization"] == "Bearer token-of-the-environment"
    assert call.headers["Accept"] == "application/vnd.github+json"
    assert call.headers["X-GitHub-Api-Version"]
    assert call.json["ref"] == "release/1"
    assert call.json["inputs"] == {
        "branchDetails": "release/1", "n": "5", "half": "0.5", "yes": "true", "no": "null", "list": '[1, "あ"]',
        "map": '{"a": 1}', "text": "as it is",
    }  # fmt: skip
    assert (execution["status"], execution["response_status"]) == ("success", 204)
    assert execution["output"] == "Workflow triggered successfully on branch release/1"
    assert (execution["execution_type"], execution["target"]) == ("github_actions", "acme/shop/ci.yml")


def test_the_branch_is_master_by_default(github: Client, target: Target) -> None:
    serve(target, "build")
    run(github, job_of(github)["id"])
    assert target.arrivals[0].json == {"ref": "master", "inputs": {}, "return_run_details": True}


@pytest.mark.parametrize(
    ("known", "tried"), [("build.yml", ["build", "build.yml"]), ("build.yaml", ["build", "build.yml", "build.yaml"])]
)
def test_a_name_without_an_extension_is_tried_with_one(
    github: Client, target: Target, known: str, tried: list[str]
) -> None:
    serve(target, known)
    execution = run(github, job_of(github)["id"])
    assert target.paths() == [PATH.format(name) for name in tried]
    assert (execution["status"], execution["target"]) == ("success", f"acme/shop/{known}")
    assert len(execution["attempts"]) == len(tried)


@pytest.mark.parametrize("workflow", ["12345", "ci.yml"])
def test_an_id_or_a_file_name_is_tried_as_it_is(github: Client, target: Target, workflow: str) -> None:
    serve(target)
    execution = run(github, job_of(github, workflow)["id"])
    assert target.paths() == [PATH.format(workflow)]
    assert (
        execution["error_message"] == 'GitHub Actions dispatch failed. Status: 404, Response: {"message": "Not Found"}'
    )
    assert execution["target"] == f"acme/shop/{workflow}"


def test_a_refusal_is_told(github: Client, target: Target) -> None:
    serve(target, "build", status=422, body=json.dumps({"message": "No ref found for: master"}).encode())
    execution = run(github, job_of(github)["id"])
    assert (execution["status"], execution["response_status"]) == ("failed", 422)
    assert (
        execution["error_message"]
        == 'GitHub Actions dispatch failed. Status: 422, Response: {"message": "No ref found for: master"}'
    )
    assert [arrival.method for arrival in target.arrivals].count("POST") == 1


def test_a_token_of_the_request_is_used_once_and_kept_nowhere(github: Client, target: Target) -> None:
    serve(target, "build")
    job = job_of(github)
    execution = run(github, job["id"], github_token="ghp_onlyforthisrun")
    run(github, job["id"])
    assert [call.headers["Authorization"] for call in target.arrivals] == [
        "Bearer ghp_onlyforthisrun",
        "Bearer token-of-the-environment",
    ]
    assert "ghp_onlyforthisrun" not in json.dumps(execution)


def test_overrides_of_the_workflow(github: Client, target: Target) -> None:
    serve(target, "build", "ci.yml")
    job = job_of(github)
    run(
        github,
        job["id"],
        dispatch_url="https://github.com/other/repo/actions/workflows/x.yml",
        github_owner="acme",
        github_repo="shop",
        github_workflow_name="ci.yml",
    )
    run(github, job["id"], dispatch_url="acme/shop/ci.yml", metadata={"branchDetails": "dev"})
    assert target.paths() == [PATH.format("ci.yml")] * 2
    assert target.arrivals[1].json["ref"] == "dev"
    assert ok(github.get(f"/jobs/{job['id']}"))["job"]["github_workflow_name"] == "build"


def test_a_test_run_dispatches_what_a_run_would(github: Client, target: Target) -> None:
    serve(target, "build.yml")
    sent = {
        "github_owner": "acme",
        "github_repo": "shop",
        "github_workflow_name": "build",
        "metadata": {"branchDetails": "dev", "n": 1},
    }
    answer = ok(github.post("/jobs/test-run", json=sent))
    assert (answer["ok"], answer["type"], answer["status_code"]) == (True, "github", 204)
    by_test = [(call.path, call.json) for call in target.arrivals]
    target.arrivals.clear()
    run(github, job_of(github, metadata=sent["metadata"])["id"])
    assert [(call.path, call.json) for call in target.arrivals] == by_test
