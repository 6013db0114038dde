"""Words for the contract tests."""

from __future__ import annotations

import re
import uuid
from typing import Any

import requests

from tests.support.installation import Client
from tests.support.target import wait_until

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def ok(answer: requests.Response, status: int = 200) -> dict[str, Any]:
    """The body of an answer that has this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: requests.Response, status: int, error: str) -> dict[str, Any]:
    """The body of a refusal in the one error shape, with this error string."""
    body = ok(answer, status)
    assert body["error"] == error, body
    assert isinstance(body["message"], str)
    assert body["message"]
    if status in {401, 403}:
        assert body["detail"] == body["message"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return body


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


def team(admin: Client) -> str:
    """The slug of an active PIC team."""
    answer = admin.post("/pic-teams", json={"name": "Contract", "slack_handle": "@contract"})
    assert answer.status_code in {201, 409}
    return "contract"


def body(**changes: Any) -> dict[str, Any]:
    """A body that `POST /jobs` accepts; None takes a key away."""
    full = {
        "name": unique("job"),
        "cron_expression": "0 3 1 1 *",
        "end_date": "2099-12-31",
        "pic_team": "contract",
        "target_url": "https://hooks.example.com/x",
        **changes,
    }
    return {key: value for key, value in full.items() if value is not None}


def make_job(client: Client, **changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = ok(client.post("/jobs", json=body(**changes)), 201)["job"]
    return job


def finished(client: Client, execution_id: str) -> dict[str, Any]:
    """The execution, once it has ended."""

    def look() -> dict[str, Any] | None:
        execution: dict[str, Any] = ok(client.get(f"/executions/{execution_id}"))["execution"]
        return None if execution["status"] in {"queued", "running"} else execution

    found: dict[str, Any] = wait_until(look, 20)
    return found


def run(client: Client, job_id: str, **overrides: Any) -> dict[str, Any]:
    """Run a job now; returns its execution, once it has ended."""
    answer = ok(client.post(f"/jobs/{job_id}/execute", json=overrides))
    return finished(client, answer["execution_id"])
