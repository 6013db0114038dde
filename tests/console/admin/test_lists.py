"""The lists of jobs and executions: tabs, filters, views, columns, and what is done with a selection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from console.date_params import period
from console.models import SavedView
from executions.models import Batch, Execution, Status
from jobs.models import Job
from tests.support.executions import ran
from windows.models import Window
from windows.services import pause

pytestmark = pytest.mark.django_db
JOBS, EXECUTIONS = "admin:jobs_job_changelist", "admin:executions_execution_changelist"
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("uma", admin_access=True)


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("vic", "viewer", admin_access=True)


def test_tabs_count_what_they_lead_to(browser: Client, make_job: Callable[..., Job], user: User) -> None:
    make_job(name="well")
    make_job(name="off", is_active=False)
    make_job(name="of somebody else", by=user)
    pause([make_job(name="paused", by=user)], timezone.now() + dt.timedelta(hours=1), "", by=user)
    frozen = make_job(name="frozen", target_url="https://frozen.example.com/x")
    make_job(name="not frozen", target_url="https://example.com/frozen.example.com")
    Window.objects.create(name="host", effect="hold", hosts=["frozen.example.com"], starts_at=timezone.now())
    assert frozen.is_active
    bad, odd = make_job(name="bad"), make_job(name="odd")
    ran(bad, Status.FAILED)
    Job.objects.filter(pk=bad.pk).update(last_status=Status.FAILED)
    for number in range(10):
        ran(odd, Status.FAILED if number % 2 else Status.SUCCESS, ago=1000 - 60 * number)
    shown = browser.get(reverse(JOBS))
    tabs = {str(tab["title"]): tab for tab in shown.context["cl"].tabs}
    assert {title: tab["count"] for title, tab in tabs.items()} == {
        "All": 8, "Failing": 1, "Flapping": 1, "Paused": 2, "Disabled": 1, "Ending": 0, "Mine": 6,
    }  # fmt: skip
    for title, tab in tabs.items():
        assert len(browser.get(reverse(JOBS) + tab["url"]).context["cl"].result_list) == tab["count"], title


def test_empty_next_runs_come_last_in_both_directions(browser: Client, make_job: Callable[..., Job]) -> None:
    make_job(name="off", is_active=False)
    make_job(name="soon", cron_expression="* * * * *")
    make_job(name="later", cron_expression="0 0 1 1 *")
    column = 1 + [*browser.get(reverse(JOBS)).context["cl"].list_display].index("next_run") - 0
    for order, expected in ((column - 1, ["soon", "later", "off"]), (-(column - 1), ["later", "soon", "off"])):
        found = browser.get(reverse(JOBS), {"o": str(order)}).context["cl"].result_list
        assert [job.name for job in found] == expected


def test_columns_are_chosen_and_shared_with_the_frontend(browser: Client, make_job: Callable[..., Job]) -> None:
    make_job(target_url="https://x.example.com/hook?token=s3cr3t")
    assert b"x.example.com" not in browser.get(reverse(JOBS)).content
    browser.post(reverse("admin:choose_columns"), {"target_url": "on"})
    page = browser.get(reverse(JOBS)).content.decode()
    assert "x.example.com/hook" in page
    assert "s3cr3t" not in page
    assert "column-pic_team" not in page


def test_a_view_is_saved_under_a_name_and_deleted(browser: Client, admin: User, user: User, browser_of: Any) -> None:
    saved = {"list": "jobs_job", "name": "My failing", "query": "attention=failing"}
    browser.post(reverse("admin:save_view"), saved)
    assert "?attention=failing" in browser.get(reverse(JOBS)).content.decode()
    view = SavedView.objects.get(user=admin)
    other = browser_of(user)
    assert b"My failing" not in other.get(reverse(JOBS)).content
    other.post(reverse("admin:delete_view", args=[view.pk]))
    assert SavedView.objects.count() == 1
    browser.post(reverse("admin:delete_view", args=[view.pk]))
    assert SavedView.objects.count() == 0


@pytest.mark.parametrize("odd", [{"list": "accounts_user", "name": "x"}, {"list": "jobs_job", "name": " "},
                                 {"list": "jobs_job", "name": "x" * 61}])  # fmt: skip
def test_odd_views_are_not_saved(browser: Client, odd: dict[str, str]) -> None:
    assert browser.post(reverse("admin:save_view"), odd).status_code == 302
    assert SavedView.objects.count() == 0


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-11-26T08:00", "2026-11-25T18:00", "2026-11-26T09:00"),
        ("2026-11-26T17:59", "2026-11-25T18:00", "2026-11-26T09:00"),
        ("2026-11-26T23:59", "2026-11-25T18:00", "2026-11-26T09:00"),
        ("2026-01-01T00:30", "2025-12-31T18:00", "2026-01-01T09:00"),
    ],
)
def test_last_night(now: str, start: str, end: str) -> None:
    found = period("night", dt.datetime.fromisoformat(now).replace(tzinfo=TOKYO))
    assert found
    assert [f"{one.astimezone(TOKYO):%Y-%m-%dT%H:%M}" for one in found] == [start, end]


def test_the_jobs_of_the_page_are_offered_as_a_filter(browser: Client, make_job: Callable[..., Job]) -> None:
    for name in ("Beta", "Alpha"):
        job = make_job(name=name)
        ran(job, Status.SUCCESS)
        ran(job, Status.FAILED)
    offered = browser.get(reverse(EXECUTIONS)).context["cl"].offered
    assert [one["display"] for one in offered] == ["Alpha", "Beta"]
    chosen = browser.get(reverse(EXECUTIONS) + offered[0]["query_string"]).context["cl"]
    assert {one.job.name for one in chosen.result_list} == {"Alpha"}


def test_filters_are_chips_that_can_be_removed(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(name="Chip")
    ran(job, Status.FAILED)
    ran(make_job(name="other"), Status.FAILED)
    shown = browser.get(reverse(EXECUTIONS), {"status__exact": "failed", "job": str(job.pk)})
    page = shown.content.decode()
    assert "Remove the filter" in page
    assert shown.context["cl"].result_count == 1
    assert shown.context["cl"].offered == []
    chip = shown.context["cl"].linked_chips[0]
    assert (str(chip["title"]), chip["chosen"]) == ("Job", "Chip")
    assert browser.get(reverse(EXECUTIONS) + chip["without"]).context["cl"].result_count == 2


def test_failures_of_last_night_are_run_again_once_a_job(
    browser: Client, make_job: Callable[..., Job], handed: list[Any]
) -> None:
    first, second = make_job(name="first"), make_job(name="second")
    for job, ago in ((first, 10), (first, 20), (second, 30)):
        ran(job, Status.FAILED, ago=ago)
    ran(second, Status.SUCCESS, ago=40)
    page = reverse(EXECUTIONS) + "?status__exact=failed"
    data = {"action": "run_again", "select_across": "1", "_selected_action": [str(Execution.objects.first())]}
    asked = browser.post(page, {**data, "_selected_action": [str(Execution.objects.values_list("pk", flat=True)[0])]})
    assert (asked.context["each"], asked.context["once"]) == (3, 2)
    data["_selected_action"] = [str(Execution.objects.values_list("pk", flat=True)[0])]
    done = browser.post(page, {**data, "which": "job", "minutes": "0"})
    batch = Batch.objects.get()
    assert done["Location"] == reverse("admin:executions_batch_change", args=[batch.pk])
    assert batch.runs.count() == 2
    shown = browser.get(done["Location"]).content.decode()
    assert "first" in shown and "second" in shown


def test_a_viewer_is_offered_no_rerun(viewer: User, browser_of: Any, make_job: Callable[..., Job]) -> None:
    run = ran(make_job(), Status.FAILED)
    data = {"action": "run_again", "_selected_action": [str(run.pk)], "which": "each", "minutes": "0"}
    browser_of(viewer).post(reverse(EXECUTIONS), data)
    assert Batch.objects.count() == 0


def test_executions_are_exported_without_secrets(browser: Client, make_job: Callable[..., Job]) -> None:
    run = ran(make_job(name="=cmd"), Status.FAILED, error_message="token=s3cr3t")
    answer = browser.post(reverse(EXECUTIONS), {"action": "export_csv", "_selected_action": [str(run.pk)]})
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert str(run.pk) in text
    assert "s3cr3t" not in text
    assert "'=cmd" in text


def test_extending_never_shortens(browser: Client, make_job: Callable[..., Job]) -> None:
    soon, late = make_job(name="soon", end_date="2098-01-01"), make_job(name="late", end_date="2099-12-31")
    data = {
        "action": "extend",
        "apply": "1",
        "end_date": "2099-01-01",
        "_selected_action": [str(soon.pk), str(late.pk)],
    }
    page = browser.post(reverse(JOBS), data, follow=True).content.decode()
    assert "End date of 1 job set to 2099-01-01. 1 ends then or later and stays." in page
    late.refresh_from_db()
    assert late.end_date == dt.date(2099, 12, 31)


@pytest.mark.parametrize("action", ["run_now", "disable"])
def test_what_cannot_be_undone_is_asked_first(browser: Client, make_job: Callable[..., Job], action: str) -> None:
    job = make_job()
    asked = browser.post(reverse(JOBS), {"action": action, "_selected_action": [str(job.pk)]})
    assert asked.status_code == 200
    job.refresh_from_db()
    assert job.is_active
    assert Execution.objects.count() == 0


def test_refused_jobs_share_one_message(browser: Client, make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}") for number in range(15)]
    Job.objects.update(end_date="2020-01-01", is_active=False, next_run_at=None)
    data = {"action": "enable", "_selected_action": [str(job.pk) for job in jobs]}
    page = browser.post(reverse(JOBS), data, follow=True)
    assert len(list(page.context["messages"])) == 2
    assert "15 jobs were refused." in page.content.decode()


def test_an_empty_list_says_what_it_is_for(browser: Client) -> None:
    assert "A job calls a webhook or starts a GitHub Actions workflow" in browser.get(reverse(JOBS)).content.decode()
    page = browser.get(reverse(JOBS), {"q": "nothing"}).content.decode()
    assert "Nothing fits the search and the filters." in page
