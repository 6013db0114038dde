"""The iCalendar feed of a job or a team."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client
from icalendar import Calendar as Document

from accounts.models import User
from console.pages import feed
from jobs import calendars
from jobs.models import Job
from jobs.services import skip_next_run
from taxonomy.models import PicTeam
from windows import services

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 26, 3, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _standing_still() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def events(url: str) -> list[tuple[str, str]]:
    """Summary and start (UTC) of the events behind an address; nobody is logged in."""
    answer = Client().get(urlsplit(url).path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    document = Document.from_ical(answer.content)
    found = [(str(one["summary"]), one["dtstart"].dt) for one in document.walk("VEVENT")]
    assert len({str(one["uid"]) for one in document.walk("VEVENT")}) == len(found)
    return [(summary, f"{start.astimezone(dt.UTC):%m-%d %H:%M}") for summary, start in found]


def test_the_runs_of_a_job_are_those_that_it_has(make_job: Callable[..., Job], admin: User) -> None:
    calendars.create({"name": "Tokyo", "country": "JP"})
    job = make_job(
        name="締め", cron_expression="0 9 * * 4,5", calendar="tokyo", on_closed_day="skip", end_date="2026-12-18"
    )
    job = skip_next_run(job, by=admin)
    services.create(
        {"name": "Freeze", "is_for_all": True, "starts_at": "2026-12-03T00:00", "ends_at": "2026-12-04T00:00"}, by=admin
    )
    url = feed.address("job", job.pk, admin)
    # Without the next run, which is skipped, and that of the freeze.
    assert events(url) == [("締め", f"12-{day} 00:00") for day in ("04", "10", "11", "17", "18")]
    assert url == feed.address("job", job.pk, admin)


def test_the_feed_of_a_team_has_no_frequent_jobs(make_job: Callable[..., Job], team: PicTeam, user: User) -> None:
    make_job(name="daily", cron_expression="0 9 * * *")
    make_job(name="minutely", cron_expression="* * * * *")
    make_job(name="off", is_active=False)
    found = events(feed.address("team", team.pk, user))
    assert {summary for summary, _ in found} == {"daily"}
    assert len(found) == 60


def test_an_address_ends_with_the_account(make_job: Callable[..., Job], user: User) -> None:
    path = urlsplit(feed.address("job", make_job().pk, user)).path
    assert Client().post(path).status_code == 405
    assert Client().get(path.replace(".ics", "x.ics")).status_code == 404
    assert Client().get(path).status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert Client().get(path).status_code == 404


def test_pages_link_to_it(browser: Client, make_job: Callable[..., Job], team: PicTeam) -> None:
    job = make_job()
    assert b".ics" in browser.get(f"/admin/jobs/job/{job.pk}/").content
    assert b".ics" in browser.get("/admin/calendar/?view=day&team=qa-team").content
    assert b".ics" not in browser.get("/admin/calendar/?view=day").content


def test_a_feed_that_is_cut_holds_the_next_runs_of_all_jobs(
    make_job: Callable[..., Job], team: PicTeam, user: User
) -> None:
    for name in ("aaa", "bbb"):
        make_job(name=name, cron_expression="0 * * * *")
    make_job(name="ccc", cron_expression="0 9 * * *")
    found = events(feed.address("team", team.pk, user))
    assert len(found) == 2_000
    assert {summary for summary, _ in found} == {"aaa", "bbb", "ccc"}
