"""The calendar as a list, and the panel of the jobs behind a mark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from console.pages.agenda import Span, agenda, panel, read_span
from console.pages.calendar import Filters, heat
from executions.models import Execution, Status
from jobs.models import Job

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 11, 26)
NOON = dt.datetime(2026, 11, 26, 12, 0, tzinfo=ZoneInfo("Asia/Tokyo"))


def ran_at(job: Job, hour: int, minute: int, status: str, took: float = 2.0) -> Execution:
    at = dt.datetime(2026, 11, 26, hour, minute, tzinfo=ZoneInfo("Asia/Tokyo"))
    return Execution.objects.create(
        job=job, status=status, trigger_type="scheduled", scheduled_for=at, started_at=at, duration_seconds=took,
        execution_type="webhook", target="x",
    )  # fmt: skip


@time_machine.travel(NOON, tick=False)
def test_the_panel_shows_what_ran_and_what_is_due(make_job: Callable[..., Job]) -> None:
    past, coming = (
        make_job(name="past", cron_expression="0 9 * * *"),
        make_job(name="coming", cron_expression="0 18 * * *"),
    )
    make_job(name="another minute", cron_expression="30 9 * * *")
    run = ran_at(past, 9, 0, Status.FAILED)
    shown = panel(Span(DAY, 540, 549), Filters())
    assert [(row["job"], row["execution"], row["usual"]) for row in shown["rows"]] == [(past, run, 2.0)]
    shown = panel(Span(DAY, 1080, 1080), Filters())
    assert [(f"{row['at']:%H:%M}", row["job"]) for row in shown["rows"]] == [("18:00", coming)]
    assert panel(Span(DAY, 600, 700), Filters())["rows"] == []


@time_machine.travel(NOON, tick=False)
def test_tomorrow_at_nine_with_names(browser: Client, make_job: Callable[..., Job]) -> None:
    for name in ("Alpha", "Beta"):
        make_job(name=name, cron_expression="0 9 * * *")
    page = browser.get(reverse("admin:calendar"), {"date": "2026-11-27", "at": "540", "until": "540"}).content.decode()
    assert "2026-11-27 (Fri) 09:00" in page
    assert "Alpha" in page and "Beta" in page


@time_machine.travel(NOON, tick=False)
def test_the_list_names_failed_jobs_first_and_marks_what_comes(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", cron_expression="0 9,18 * * *") for number in range(6)]
    for number, job in enumerate(jobs):
        ran_at(job, 9, 0, Status.FAILED if number == 5 else Status.SUCCESS)
    past, coming = agenda(DAY, Filters())["rows"]
    assert [(name, is_failed) for name, _url, is_failed in past["jobs"]][:2] == [("job 5", True), ("job 0", False)]
    assert (past.get("is_next"), coming.get("is_next")) == (None, True)


@time_machine.travel(NOON, tick=False)
def test_the_list_groups_a_day_by_minutes(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", cron_expression="0 9,18 * * *") for number in range(6)]
    make_job(name="every minute", cron_expression="* * * * *")
    for job in jobs[:5]:
        ran_at(job, 9, 0, Status.SUCCESS)
    ran_at(jobs[5], 9, 0, Status.FAILED)
    shown = agenda(DAY, Filters())
    rows = [(row["at"], row["ran"], row["failed"], row["due"], row["more"], row["kind"]) for row in shown["rows"]]
    assert rows == [("09:00", 6, 1, 0, 2, "failed"), ("18:00", 0, 0, 6, 2, "expected")]
    assert shown["frequent"] == 1


@time_machine.travel(NOON, tick=False)
def test_the_list_counts_all_and_names_a_few(
    browser: Client, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of an installation with many jobs has more runs than a page can name."""
    monkeypatch.setattr("console.pages.agenda._READ", 3)
    jobs = [make_job(name=f"job {number}", cron_expression="0 8,9,18 * * *") for number in range(6)]
    for hour in (8, 9):
        for job in jobs:
            ran_at(job, hour, 0, Status.SUCCESS)
    rows = agenda(DAY, Filters())["rows"]
    assert [(row["at"], row["ran"], row["due"], len(row["jobs"]), row["more"]) for row in rows] == [
        ("08:00", 6, 0, 0, 6), ("09:00", 6, 0, 3, 3), ("18:00", 0, 6, 4, 2),
    ]  # fmt: skip
    page = browser.get(reverse("admin:calendar"), {"view": "agenda"}).content.decode()
    assert ">6 runs</a>" in page and ">+3</a>" in page


@time_machine.travel(NOON, tick=False)
def test_a_day_with_runs_at_most_minutes_has_rows_of_some_minutes(
    browser: Client, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.pages.agenda._MOST_ROWS", 3)
    for minute in (0, 4, 12, 31):
        make_job(name=f"job {minute}", cron_expression=f"{minute} 18 * * *")
    rows = agenda(DAY, Filters(team="qa-team"))["rows"]
    assert [(row["at"], row["due"]) for row in rows] == [("18:00-18:04", 2), ("18:10-18:14", 1), ("18:30-18:34", 1)]
    page = browser.get(reverse("admin:calendar") + rows[0]["url"])
    assert [row["job"].name for row in page.context["panel"]["rows"]] == ["job 0", "job 4"]
    assert page.context["filters"].team == "qa-team"


@pytest.mark.parametrize(
    ("first", "last"), [("", ""), ("x", "1"), ("-1", "5"), ("10", "5"), ("0", "1440"), ("9" * 20, "9")]
)
def test_odd_spans_show_no_panel(browser: Client, first: str, last: str) -> None:
    assert read_span(DAY, first, last) is None
    assert browser.get(reverse("admin:calendar"), {"at": first, "until": last}).context["panel"] is None


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(("days", "words"), [(399, "Nothing ran or is due here."), (400, "deleted after 400 days")])
def test_a_panel_says_that_its_executions_are_deleted(browser: Client, days: int, words: str) -> None:
    date = (DAY - dt.timedelta(days=days)).isoformat()
    page = browser.get(reverse("admin:calendar"), {"view": "week", "date": date, "at": "540", "until": "599"})
    assert words in page.content.decode()


def test_a_phone_gets_the_list_first(browser: Client) -> None:
    page = browser.get(reverse("admin:calendar"), headers={"User-Agent": "Mozilla/5.0 (iPhone) Mobile/15E148"})
    assert page.context["view"] == "agenda"
    assert browser.get(reverse("admin:calendar")).context["view"] == "day"


def test_heat_is_the_share_of_failures() -> None:
    counts = [
        {},
        {"success": 9},
        {"success": 99, "failed": 1},
        {"success": 9, "failed": 1},
        {"failed": 3, "success": 7},
    ]
    assert [heat(one) for one in [*counts, {"failed": 1}]] == [0, 0, 1, 2, 3, 4]
