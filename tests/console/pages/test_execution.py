"""The page of an execution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from console.pages.execution import summary
from executions.models import Execution, Status
from jobs import services
from jobs.models import Job
from tests.support.executions import left, ran

pytestmark = pytest.mark.django_db


def page_of(browser: Client, execution: Execution) -> Any:
    return browser.get(reverse("admin:executions_execution_change", args=[execution.pk]))


def test_the_title_says_job_outcome_status_and_time(browser: Client, make_job: Callable[..., Job]) -> None:
    run = ran(make_job(name="Nightly invoices"), Status.FAILED, response_status=500, error_message="status 500")
    title = f"Nightly invoices: Failed, HTTP 500, {timezone.localtime(run.scheduled_for):%H:%M}"
    assert summary(run) == title
    page = page_of(browser, run).content.decode()
    assert f'<meta property="og:title" content="{title}">' in page
    assert '<meta property="og:description" content="status 500">' in page


def test_a_failure_tells_the_last_success_and_what_changed_since(
    browser: Client, make_job: Callable[..., Job], admin: User
) -> None:
    job = make_job(name="Invoices")
    ran(job, Status.SUCCESS, ago=60)
    services.update_job(job.pk, {"timeout_seconds": 5}, by=admin)
    failed = ran(job, Status.FAILED, ago=-1, error_message="no answer")
    page = page_of(browser, failed).content.decode()
    assert "Last success" in page
    assert "Timeout (seconds): 10 → 5" in page


def test_older_and_newer(browser: Client, make_job: Callable[..., Job]) -> None:
    job, other = make_job(name="a"), make_job(name="b")
    runs = [ran(job, Status.SUCCESS, ago=ago) for ago in (300, 200, 100)]
    ran(other, Status.SUCCESS, ago=150)
    context = page_of(browser, runs[1]).context
    assert (context["older"], context["newer"]) == (runs[0], runs[2])
    assert page_of(browser, runs[0]).context["older"] is None


def test_an_open_execution_renews_itself_until_it_has_ended(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    execution = left(job)
    part = reverse("admin:executions_execution_live", args=[execution.pk])
    assert part in page_of(browser, execution).content.decode()
    assert "X-Renew" not in browser.get(part)
    Execution.objects.filter(pk=execution.pk).update(status=Status.SUCCESS)
    assert browser.get(part)["X-Renew"] == "never"


def test_the_page_costs_a_constant_number_of_queries(
    browser: Client, make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    job = make_job()
    runs = [ran(job, Status.FAILED, ago=60 * number + 5) for number in range(30)]
    part = reverse("admin:executions_execution_live", args=[runs[10].pk])
    browser.get(part)
    with django_assert_num_queries(11):
        browser.get(part)


@pytest.mark.parametrize(
    ("username", "shown", "hidden"),
    [("ada", ["?suite=smoke&amp;token=••••••"], []), ("vic", ["?suite=••••••&amp;token=••••••"], ["smoke"])],
)
def test_the_target_is_the_same_on_every_page_and_hides_what_the_reader_may_not_read(
    username: str, shown: list[str], hidden: list[str], make_job: Callable[..., Job], admin: User, viewer: User
) -> None:
    url = "https://user:pass1@hooks.example.com/x?suite=smoke&token=tok1"
    job = make_job(target_url=url)
    run = ran(job, Status.SUCCESS)
    Execution.objects.filter(pk=run.pk).update(target=url)
    User.objects.update(admin_access=True)
    browser = Client()
    browser.force_login(User.objects.get(username=username))
    for name, pk in (("executions_execution_change", run.pk), ("jobs_job_view", job.pk)):
        path = reverse(f"admin:{name}", args=[pk])
        page = browser.get(path).content.decode()
        assert [text for text in shown if text not in page] == []
        assert [text for text in [*hidden, "pass1", "tok1"] if text in page] == []
