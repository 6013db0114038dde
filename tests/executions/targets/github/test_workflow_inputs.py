"""A job's metadata against the inputs that its workflow file declares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from demo.github_stand_in import GitHub
from executions.targets.github.dispatch import inputs
from executions.targets.github.workflow_inputs import Unreadable, declared, differences

WORKFLOW = """
name: Nightly
on:
  workflow_dispatch:
    inputs:
      place: {type: choice, options: [staging, production], required: true}
      dry: {type: boolean, default: false}
      shards: {type: number, required: true, default: 4}
      note: {required: true}
"""


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        ({"place": "staging", "note": "x"}, []),
        ({"place": "staging", "note": "x", "dry": True, "shards": 2.5}, []),
        ({"place": "moon", "note": "x"}, ["The input 'place' is one of staging, production."]),
        ({"place": "staging", "note": "x", "dry": "yes"}, ["The input 'dry' is true or false."]),
        ({"place": "staging", "note": "x", "shards": "two"}, ["The input 'shards' is a number."]),
        ({"place": "staging"}, ["The input 'note' is required: add it to the metadata."]),
        ({"place": "staging", "note": "x", "branchDetails": "main"}, ["The workflow has no input 'branchDetails'."]),
    ],
)
def test_what_github_would_refuse(metadata: dict[str, Any], wrong: list[str]) -> None:
    assert differences(declared(WORKFLOW), inputs(metadata)) == wrong


@pytest.mark.parametrize(
    "events", ["on: workflow_dispatch", "on: [push, workflow_dispatch]", "'on': {workflow_dispatch: }"]
)
def test_workflows_without_inputs(events: str) -> None:
    assert declared(events) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [("on: push", "cannot be dispatched"), ("{", "not valid"), ("", "not valid"), ("[1]", "not valid")],
)
def test_files_that_cannot_be_dispatched(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        declared(text)


@given(st.text())
def test_no_file_does_harm(text: str) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(declared(text), dict)


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "token"
        yield server


def test_the_jobs_form_checks_before_anything_is_saved(github: GitHub, admin: User, django_user_model: Any) -> None:
    client = Client()
    client.force_login(admin)

    def checked(**form: str) -> Any:
        body = {
            "target_kind": "github",
            "github_owner": "acme",
            "github_repo": "shop",
            "github_workflow_name": "nightly",
        }
        return client.post("/admin/jobs/job/check-workflow/", {**body, **form}).json()

    github.files["nightly.yml"] = WORKFLOW
    assert checked(metadata='{"place": "staging", "note": "x"}')["ok"] is True
    assert "no input 'plaice'" in checked(metadata='{"plaice": "staging", "note": "x"}')["message"]
    assert "not valid JSON" in checked(metadata="{")["message"]
    assert "cannot be read (GitHub answered 404)" in checked(github_workflow_name="other")["message"]
    assert "no workflow" in checked(target_kind="webhook", target_url="https://hooks.example.com/")["message"]
    asked = [path for _, path, _ in github.calls]
    assert asked[:2] == [f"/repos/acme/shop/contents/.github/workflows/{name}" for name in ("nightly", "nightly.yml")]


def test_only_who_may_add_jobs_checks(make_user: Callable[..., User], github: GitHub) -> None:
    client = Client()
    client.force_login(make_user("vera", "viewer", admin_access=True))
    assert client.post("/admin/jobs/job/check-workflow/", {}).status_code == 403
    assert github.calls == []
