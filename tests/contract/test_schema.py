"""The OpenAPI document tells the truth: nothing that is sent lies outside it, and no request brings the server down."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cronsched.management.commands.writedocs import documents
from cronsched.openapi_views import openapi_document
from tests.contract.test_users import client_of, register
from tests.support.contract import make_job
from tests.support.installation import ROOT, Client, Installation
from tests.support.target import Target

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
SCHEMA = schemathesis.openapi.from_dict(openapi_document())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_the_committed_documents_are_made_from_the_code() -> None:
    folder = ROOT / "docs"
    for name, content in documents(folder).items():
        assert (folder / name).read_text() == content, f"{name} is out of date: run make docs"


def test_the_generator_warns_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_operation_is_described() -> None:
    for path, operations in openapi_document()["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("description"), where
            assert "400" in operation["responses"] or not operation.get("parameters"), where
            for status, response in operation["responses"].items():
                kinds = {"application/json"} if "/audit" not in path or status != "200" else {"application/x-ndjson"}
                assert set(response["content"]) == kinds, f"{where} {status}"


@pytest.fixture(scope="session")
def some_job(installation: Installation, _target: Target) -> str:
    """A job on loopback whose id takes the place of half the ids made up."""
    installation.admin.post("/pic-teams", json={"name": "Contract", "slack_handle": "@c"})
    return str(make_job(installation.admin, target_url=_target.url + "/ok")["id"])


@pytest.mark.long
@pytest.mark.parametrize("role", ["admin", "user", "viewer", "nobody"])
@pytest.mark.parametrize("label", list(OPERATIONS))
def test_whatever_is_sent_is_answered_as_described(
    label: str, role: str, installation: Installation, some_job: str, _target: Target
) -> None:
    @given(case=OPERATIONS[label].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        tame(case, some_job, _target.url)
        client = client_for(installation, role, fresh=label.endswith("/logout"))
        case.call_and_validate(
            base_url=installation.base, headers=dict(client.headers), checks=list(CHECKS), timeout=30
        )

    check()


def client_for(installation: Installation, role: str, *, fresh: bool) -> Client:
    if role == "nobody":
        return Client(installation.base + "/api/v2")
    if fresh:
        return client_of(installation, register(installation.admin, role=role))
    return installation.admin if role == "admin" else installation.user(role)


def tame(case: Any, job_id: str, target: str) -> None:
    """Keep every call on loopback, and let half the made-up ids name a job."""
    if isinstance(case.body, dict) and "://" in str(case.body.get("target_url") or ""):
        # A copy: the body may be the document's own example.
        case.body = {**case.body, "target_url": target + "/ok"}
    if isinstance(case.body, dict) and "webhook_url" in case.body:
        case.body["webhook_url"] = "https://127.0.0.1:1/none"
    if "job_id" in (case.path_parameters or {}) and case.method != "DELETE" and random.Random(case.id).random() < 0.5:
        case.path_parameters["job_id"] = job_id
