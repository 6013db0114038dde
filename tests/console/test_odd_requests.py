"""Odd addresses and odd records end in a page, never in a server error."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from console.pages.execution import context
from core.masking import MASK, masked_text
from executions.models import Execution
from jobs.models import Job

pytestmark = pytest.mark.django_db
EDGES = ["0001-01-01", "9999-12-31", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "x", "", "2026-02-30"]


@pytest.mark.parametrize("text", EDGES)
def test_dates_at_the_edge(browser: Client, text: str) -> None:
    for view in ("day", "week"):
        assert browser.get(reverse("admin:calendar"), {"view": view, "date": text}).status_code == 200
    for name in ("when", "from", "to"):
        answer = browser.get(reverse("admin:executions_execution_changelist"), {name: text}, follow=True)
        assert answer.status_code == 200


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_any_text(browser: Client, text: str) -> None:
    if "\x00" in text:
        return
    assert browser.get(reverse("admin:jobs_job_preview"), {"cron": text, "job": text}).status_code == 200
    assert browser.get(reverse("admin:calendar"), {"date": text, "team": text}).status_code == 200
    assert browser.get(reverse("admin:jobs_job_add"), {"duplicate": text}).status_code == 200


@pytest.mark.parametrize("output", ["[" * 1000, "[" * 499 + "]" * 499, "{", "9" * 5000, '"\\ud800"'])
def test_answers_that_are_hard_to_read(browser: Client, make_job: Callable[..., Job], output: str) -> None:
    execution = Execution.objects.create(
        job=make_job(), trigger_type="manual", execution_type="webhook", target="x", output=output
    )
    page = browser.get(reverse("admin:executions_execution_change", args=[execution.pk]))
    assert page.status_code == 200


@pytest.mark.parametrize("metadata", ["[" * 3000, "9" * 5000, "nonsense"])
def test_a_test_run_with_metadata_that_is_none(browser: Client, metadata: str) -> None:
    answer = browser.post(
        reverse("admin:jobs_job_test_run"), {"metadata": metadata, "target_url": "http://127.0.0.1:1/"}
    )
    assert answer.status_code == 200
    assert not answer.json()["ok"]


def test_secrets_are_masked_in_whole_and_in_cut_answers(admin: User, make_job: Callable[..., Job]) -> None:
    whole = {"access_token": "s3cr3t", "nested": {"Password": "s3cr3t", "name": "shown"}}
    text = json.dumps(whole)
    for number, output in enumerate(
        (text, text[:-3] + "…", "token=s3cr3t; name=shown", "Authorization: Bearer s3cr3t")
    ):
        execution = Execution.objects.create(
            job=make_job(name=f"job {number}"),
            execution_type="webhook",
            target="https://x.example.com/?key=s3cr3t",
            output=output,
        )
        shown = context(execution, admin)
        assert "s3cr3t" not in shown["received"] or output.startswith("Authorization"), shown["received"]
        assert MASK in shown["received"]
        assert "s3cr3t" not in shown["target"]


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    long = "x" * 200_000 + ' api.token : "' + "y" * 200_000
    assert masked_text(long).endswith(f" api.token : {MASK}")
    assert masked_text("pass " * 50_000 + ":" * 10_000)
