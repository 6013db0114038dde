"""Every daily page: reachable by keyboard and screen reader, in light and dark, on a phone, in Japanese."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.target import Target, wait_until

PAGES = [
    "", "calendar/", "calendar/?view=week", "jobs/job/", "jobs/job/add/", "executions/execution/", "import/",
    "taxonomy/category/",
    "taxonomy/picteam/", "accounts/user/", "settings_app/slacksettings/", "notifications/message/",
    "notifications/event/",
    "audit/changerecord/", "scheduler/leadership/",
]  # fmt: skip


@pytest.fixture(scope="module")
def seen(installation: Installation, _target: Target) -> dict[str, Any]:
    """A job with an execution that failed."""
    team(installation.admin)
    job = make_job(installation.admin, name="Seen by the browser", target_url=_target.url + "/status/500")
    asked = installation.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
    wait_until(lambda: installation.admin.get(f"/executions/{asked}").json()["execution"]["status"] == "failed")
    return {"job": job["id"], "execution": asked}


def pages_of(seen: dict[str, Any]) -> list[str]:
    job, execution = seen["job"], seen["execution"]
    return [
        *PAGES,
        f"jobs/job/{job}/change/",
        f"jobs/job/{job}/explain/?at=2026-11-24T09:00",
        f"executions/execution/{execution}/change/",
        f"jobs/job/{job}/delete/",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(
    open_page: Callable[..., Page], serious_findings: Callable[[Page], list[str]], seen: dict[str, Any], scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    findings = []
    for path in pages_of(seen):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        findings += [f"{path or 'dashboard'}: {finding}" for finding in serious_findings(page)]
    assert not findings, "\n".join(findings)


FORMS = [
    "jobs/job/add/",
    "import/",
    "taxonomy/category/add/",
    "taxonomy/picteam/add/",
    "accounts/user/add/",
    "settings_app/slacksettings/",
    "settings_app/githubcredential/add/",
]
# Fields for typing whose edge cannot be seen: no border, and no background that differs from the page's.
UNSEEN = """() => [...document.querySelectorAll("input, textarea, select")].filter((field) => {
    const style = getComputedStyle(field);
    const typed = !["hidden", "checkbox", "radio", "submit", "button", "file"].includes(field.type);
    const shown = field.offsetParent !== null && field.offsetHeight > 1 && style.opacity !== "0";
    const edge = parseFloat(style.borderTopWidth) > 0 || style.boxShadow !== "none";
    return typed && shown && !edge && !field.closest("#nav-sidebar, header, .search, [role=search]");
}).map((field) => field.name || field.id)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_field_of_a_form_can_be_seen(open_page: Callable[..., Page], scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    for path in FORMS:
        page.goto(path)
        assert page.evaluate(UNSEEN) == [], f"{path}: fields without an edge"


def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Page], seen: dict[str, Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    for path in pages_of(seen):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 1, f"{path} is {wide} px too wide"


def test_japanese(open_page: Callable[..., Page]) -> None:
    page = open_page(locale="ja")
    assert page.locator("html").get_attribute("lang") == "ja"
    assert page.get_by_role("heading", name="最近の失敗").is_visible()
    page.goto("jobs/job/add/")
    assert page.get_by_text("基本情報").first.is_visible()


def test_the_dashboard_renews_itself(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.evaluate("document.querySelector('#board').dataset.mark = 'kept'")
    with page.expect_response("**/admin/dashboard/", timeout=15_000):
        pass
    assert page.locator("#board").get_attribute("data-mark") == "kept"
    assert page.get_by_role("heading", name="Latest failures").is_visible()
