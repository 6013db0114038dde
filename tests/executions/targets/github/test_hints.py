"""Each refusal of a dispatch says what to change."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from demo.github_stand_in import GitHub
from executions import services
from executions.services import trigger_now
from executions.targets.github.hints import hint
from jobs.models import Job
from tests.support.executions import ended

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "a-token"
        yield server


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("No ref found for: mian", "The branch or tag 'mian' does not exist: correct it in the job."),
        ("Workflow does not have 'workflow_dispatch' trigger", "Add 'workflow_dispatch:' under 'on:'"),
        ('Unexpected inputs provided: ["browser"]', 'does not declare the inputs ["browser"]'),
        ("Required input 'day' not provided", "requires the input 'day'"),
        ("Provided value 'x' for input 'y' not in the list of allowed values", "list of choices"),
        ("No more than 25 properties are allowed; 30 were supplied.", "takes at most 25 inputs"),
        ("Cannot trigger a 'workflow_dispatch' on a disabled workflow", "is disabled on GitHub"),
    ],
)
def test_a_refusal_says_what_to_change(
    make_job: Callable[..., Job],
    admin: User,
    github: GitHub,
    api: APIClient,
    browser: Client,
    message: str,
    remedy: str,
) -> None:
    github.refusal = message
    if "disabled workflow" in message:
        github.states["acme/shop", "success-0.yml"] = "disabled_manually"
    names = {"github_owner": "acme", "github_repo": "shop", "github_workflow_name": "success-0.yml"}
    job = make_job(**names, github_ref="mian")
    execution = ended(trigger_now(job.pk, {}, by=admin))
    # The contract's words stay as they are.
    assert execution.error_message.endswith('"documentation_url": "https://docs.github.com/rest"}')
    assert remedy in api.get(f"/api/v2/executions/{execution.pk}").json()["remedy"]
    page = browser.get(f"/admin/executions/execution/{execution.pk}/change/").content.decode()
    assert remedy in html.unescape(page)
    assert "/acme/shop/blob/HEAD/.github/workflows/success-0.yml" in page
    assert [method for method, *_ in github.calls].count("POST") == 1


def test_a_workflow_that_is_not_there(make_job: Callable[..., Job], admin: User, github: GitHub) -> None:
    job = make_job(github_owner="acme", github_repo="shop", github_workflow_name="nothing.yml")
    execution = ended(trigger_now(job.pk, {}, by=admin))
    assert "the workflow file on its default branch" in services.remedy(execution)


@pytest.mark.parametrize(
    ("status", "text"),
    [(500, "No ref found for: x"), (422, '{"message": "Sorry"}'), (422, ""), (422, "No ref found for: "), (401, "{0}")],
)
def test_an_unknown_reason_has_no_remedy(status: int, text: str) -> None:
    assert hint(status, text) == ""


def test_braces_of_an_answer_are_no_fields() -> None:
    assert "'{0}{x}'" in hint(422, '{"message": "No ref found for: {0}{x}"}')
