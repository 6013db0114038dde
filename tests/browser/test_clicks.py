"""How many clicks the daily tasks take, from the dashboard. Typing is none; choosing from a list is one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long
_COUNT = """addEventListener('click', (event) => event.isTrusted && event.detail &&
    sessionStorage.setItem('clicks', 1 + Number(sessionStorage.getItem('clicks'))), true)"""


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    found = open_page()
    found.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found.add_init_script(_COUNT)
    return found


@pytest.fixture
def failing(installation: Installation, target: Target) -> dict[str, Any]:
    """A job that failed now."""
    team(installation.admin)
    made: dict[str, Any] = make_job(
        installation.admin, name=f"failing {uuid.uuid4()}", target_url=target.url + "/status/500"
    )
    run = installation.admin.post(f"/jobs/{made['id']}/execute").json()["execution_id"]
    wait_until(lambda: installation.admin.get(f"/executions/{run}").json()["execution"]["status"] == "failed")
    return made


def begin(page: Page) -> None:
    page.goto("")
    page.evaluate("sessionStorage.setItem('clicks', 0)")


def clicks(page: Page) -> int:
    return int(page.evaluate("Number(sessionStorage.getItem('clicks'))"))


def test_failing_jobs_of_one_team(page: Page, failing: dict[str, Any]) -> None:
    begin(page)
    row = page.locator("tr", has_text=failing["name"])
    row.get_by_role("link", name="Contract").click()
    expect(page.locator("#result_list")).to_contain_text(failing["name"])
    assert clicks(page) == 1


def test_why_did_it_fail(page: Page, failing: dict[str, Any]) -> None:
    begin(page)
    page.locator("tr", has_text=failing["name"]).get_by_role("link", name="Webhook returned status 500").click()
    expect(page.get_by_role("heading", name=failing["name"], level=2)).to_be_visible()
    expect(page.get_by_text("Webhook returned status 500").first).to_be_visible()
    assert clicks(page) == 1


def test_failures_of_last_night_are_run_again(
    page: Page, failing: dict[str, Any], installation: Installation, target: Target
) -> None:
    installation.python(
        "from executions.models import Execution; from console.date_params import period; import datetime as dt\n"
        "from django.utils import timezone\n"
        f"Execution.objects.filter(job_id='{failing['id']}').update("
        "started_at=period('night', timezone.now())[0] + dt.timedelta(seconds=1))"
    )
    # The figure is kept until something runs.
    installation.admin.post(f"/jobs/{failing['id']}/execute")
    target.wait_for(2)
    begin(page)
    page.get_by_role("link", name="failed last night").click()
    page.get_by_role("button", name="again …").click()
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url("**/executions/batch/**")
    assert clicks(page) == 3


def test_a_colleague_gets_an_account(page: Page, chromium: Browser, installation: Installation) -> None:
    begin(page)
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="Add user").click()
    name = f"colleague-{uuid.uuid4().hex[:8]}"
    page.locator("#id_username").fill(name)
    page.locator("#id_email").fill(f"{name}@example.com")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Copy").click()
    assert clicks(page) == 4
    link = page.evaluate("navigator.clipboard.readText()")
    context = chromium.new_context(locale="en")
    theirs = context.new_page()
    theirs.goto(link)
    for field in theirs.locator("input[type=password]").all():
        field.fill("correct horse battery staple")
    theirs.get_by_role("button", name="Store the password").click()
    theirs.wait_for_load_state()
    theirs.goto(f"http://127.0.0.1:{installation.port}/admin/")
    if theirs.locator("#id_username").count():
        theirs.locator("#id_username").fill(name)
        theirs.locator("#id_password").fill("correct horse battery staple")
        theirs.locator("button[type=submit]").first.click()
    expect(theirs.get_by_role("heading", name="Dashboard")).to_be_visible()
    context.close()


def test_tomorrow_at_nine_with_names(page: Page, failing: dict[str, Any], installation: Installation) -> None:
    installation.admin.put(f"/jobs/{failing['id']}", json={"cron_expression": "0 9 * * *"})
    begin(page)
    page.get_by_role("link", name="Tomorrow").click()
    page.get_by_role("link", name="9:00–9:59", exact=True).click()
    expect(page.locator("section.cs-panel").first).to_contain_text(failing["name"])
    assert clicks(page) == 2


def test_one_end_date_is_extended(page: Page, failing: dict[str, Any], installation: Installation) -> None:
    soon = dt.datetime.now(ZoneInfo("Asia/Tokyo")).date() + dt.timedelta(days=5)
    installation.admin.put(f"/jobs/{failing['id']}", json={"end_date": soon.isoformat()})
    begin(page)
    page.get_by_role("link", name="Ending within 30 days").click()
    page.get_by_role("link", name=failing["name"], exact=True).click()
    page.get_by_role("button", name="Extend by a year").click()
    expect(page.get_by_text("runs until")).to_be_visible()
    assert clicks(page) == 3
    ends = installation.admin.get(f"/jobs/{failing['id']}").json()["job"]["end_date"]
    assert ends == soon.replace(year=soon.year + 1).isoformat() or soon.day == 29
