"""The link that is copied on an execution's page: read by programs without login, and by people who have one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from console.pages import link_preview
from core.runtime.signed_addresses import without_tokens
from executions.models import Execution, Status
from jobs.models import Job
from tests.support.executions import ran

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(make_job: Callable[..., Job]) -> Execution:
    job = make_job(name="Nightly <invoices>", target_url="https://hooks.example.com/n?api_key=QUERYSECRET")
    return ran(job, Status.FAILED, error_message='HTTP 500: {"token": "ANSWERSECRET"} disk full', response_status=500)


def path_of(execution: Execution) -> str:
    return urlsplit(link_preview.address(execution)).path


def test_it_says_what_happened_and_shows_no_secret(failed: Execution) -> None:
    answer = Client().get(path_of(failed))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<meta property="og:title" content="Nightly &lt;invoices&gt;: Failed, HTTP 500,' in page
    assert 'og:description" content="QA Team · General · 0.20 s"' in page
    # No text of a target: whatever it holds, nobody has masked it for the public.
    assert "disk full" not in page
    assert "SECRET" not in page
    assert "hooks.example.com" not in page
    assert '<meta name="robots" content="noindex">' in page
    assert "no-store" in answer["Cache-Control"]
    assert reverse("admin:executions_execution_change", args=[failed.pk]) in page


def test_it_ends_after_thirty_days(failed: Execution, viewer: User, browser_of: Callable[[User], Client]) -> None:
    path = path_of(failed)
    Execution.objects.filter(pk=failed.pk).update(started_at=timezone.now() - dt.timedelta(days=31))
    assert Client().get(path).status_code == 404
    # Who has a login finds it as long as it is kept.
    assert browser_of(viewer).get(path, follow=True).status_code == 200


def test_who_is_logged_in_gets_the_page(failed: Execution, viewer: User, browser_of: Callable[[User], Client]) -> None:
    answer = browser_of(viewer).get(path_of(failed))
    assert answer["Location"] == reverse("admin:executions_execution_change", args=[failed.pk])


def test_the_page_has_the_link_and_it_stays_the_same(failed: Execution, browser: Client) -> None:
    inside = reverse("admin:executions_execution_change", args=[failed.pk])
    assert link_preview.address(failed) in browser.get(inside).content.decode()
    assert link_preview.address(failed) == link_preview.address(failed)


@pytest.mark.parametrize("token", ["x", "a:b", "IjEi:AAAA", "%00"])
def test_a_forged_link_is_not_found(failed: Execution, token: str) -> None:
    assert Client().get(f"/summary/{token}/").status_code in {400, 404}


def test_tokens_of_other_links_do_not_fit(failed: Execution, settings: Any) -> None:
    path = path_of(failed)
    assert Client().get(path.replace("/summary/", "/extend/")).status_code == 400
    settings.SECRET_KEY = "another " * 8
    assert Client().get(path).status_code == 404


def test_it_ends_with_the_execution(failed: Execution) -> None:
    path = path_of(failed)
    Execution.objects.filter(pk=failed.pk).delete()
    assert Client().get(path).status_code == 404
    assert Client().post(path).status_code == 405


def test_no_log_holds_its_token(failed: Execution) -> None:
    token = path_of(failed).split("/")[2]
    assert token not in without_tokens(link_preview.address(failed))
