"""A figure that leads to a list is the list's total: on the dashboard in each scope, and on the tabs of the jobs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from console import kept
from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import remove_jobs
from settings_app.services import choose_dashboard_scope
from taxonomy.models import PicTeam
from tests.support.executions import ran

pytestmark = pytest.mark.django_db
_LINK = re.compile(r'<a\s[^>]*?data-figure="(\d+)"[^>]*?href="([^"]+)"')
_HOUR = 3600.0


@pytest.fixture
def world(make_job: Callable[..., Job], admin: User, user: User) -> None:
    """Jobs of two teams and two people in every situation, with runs of a week; also those of a deleted job."""
    other = PicTeam.objects.create(name="Other", slug="other", slack_handle="@o")
    for number in range(6):
        team, by = ("other", user) if number % 2 else ("qa-team", admin)
        job = make_job(name=f"Job {chr(65 + number)}", pic_team=team, by=by)
        for hours in (0.01, 0.5, 3, 11, 22.9, 23.5, 25, 70, 140):
            status = Status.FAILED if (number + int(hours)) % 3 == 0 else Status.SUCCESS
            ran(job, status, ago=hours * _HOUR + number)
        latest = Execution.objects.filter(job=job).newest_first()[0]
        Job.objects.filter(pk=job.pk).update(last_status=latest.status, last_execution_at=latest.started_at)
    remove_jobs([make_job(name="Gone")], by=admin)
    disabled, broken, ended = (make_job(name=name, by=user) for name in ("Disabled", "Broken", "Ended"))
    Job.objects.filter(pk=disabled.pk).update(is_active=False, next_run_at=None)
    Job.objects.filter(pk=broken.pk).update(problem="no such zone", next_run_at=None)
    Job.objects.filter(pk=ended.pk).update(is_active=False, next_run_at=None, end_date="2026-01-01")
    PicTeam.objects.filter(pk=other.pk).update(is_active=False)


def figures(browser: Client, page: str) -> dict[str, int]:
    """The figures of a page by the URLs of the lists to which they lead."""
    content = browser.get(page).content.decode()
    path = page.partition("?")[0]
    return {urljoin(path, html.unescape(href)): int(figure) for figure, href in _LINK.findall(content)}


def totals(browser: Client, found: dict[str, int]) -> dict[str, int]:
    said = {}
    for url in found:
        total = re.search(r'data-total="(\d+)"', browser.get(url).content.decode())
        said[url] = int(total[1]) if total else -1
    return said


@pytest.mark.parametrize("scope", ["all", "mine", "team"])
def test_the_dashboard(world: None, user: User, browser_of: Callable[[User], Client], scope: str) -> None:
    user.admin_access = True
    user.save()
    team = PicTeam.objects.get(slug="qa-team")
    choose_dashboard_scope(user, str(team.pk) if scope == "team" else scope)
    browser = browser_of(user)
    found = figures(browser, reverse("admin:index"))
    # Two periods with runs, failed ones and a bar for each hour and day, and tiles.
    assert len(found) > 12
    assert totals(browser, found) == found


@pytest.mark.parametrize("query", ["", "?q=Job", "?attention=failing", "?last_status=failed"])
def test_the_tabs_of_jobs(world: None, browser: Client, query: str) -> None:
    found = figures(browser, reverse("admin:jobs_job_changelist") + query)
    assert len(found) == 7
    assert totals(browser, found) == found


def test_the_sentence_and_the_tab_agree(world: None, browser: Client) -> None:
    kept.forget()
    said = re.search(r"(\d+) of (\d+) jobs are failing", browser.get(reverse("admin:index")).content.decode())
    tabs = browser.get(reverse("admin:jobs_job_changelist")).content.decode()
    assert said is not None
    counts = dict(re.findall(r">(All|Failing)\s*<b[^>]*>\s*(\d+)</b>", tabs))
    assert (counts["Failing"], counts["All"]) == said.groups()
