"""What the pages of the admin do in a browser: language, live parts, keys, menus."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.contract import make_job, team
from tests.support.installation import Installation
from tests.support.target import Target

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _job(installation: Installation, _target: Target) -> None:
    """An installation without jobs shows the first steps alone."""
    if not installation.admin.get("/jobs").json()["jobs"]:
        team(installation.admin)
        make_job(installation.admin, name="The first", target_url=_target.url + "/ok")


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


def test_the_palette_opens_by_its_key_and_goes_where_one_says(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Search and commands")).to_be_visible()
    page.keyboard.type("calen")
    expect(page.get_by_role("option").first).to_contain_text("Calendar")
    page.keyboard.press("Enter")
    page.wait_for_url("**/calendar/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_rows_are_walked_selected_and_opened_by_keys(
    open_page: Callable[..., Page], installation: Installation, _target: Target
) -> None:
    team(installation.admin)
    for number in range(2):
        make_job(installation.admin, name=f"by key {number}", target_url=_target.url + "/ok")
    page = open_page()
    page.goto("jobs/job/?q=by key")
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("input.action-select:checked")).to_have_count(1)
    expect(page.locator("tr.cs-row-focus")).to_contain_text("by key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="by key")).to_be_visible()
    page.keyboard.press("e")
    page.wait_for_url("**/change/")


def test_menus_close_by_escape_with_the_focus_where_it_was(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("jobs/job/")
    menu = page.locator("details.cs-chip", has_text="Views").first
    menu.locator("summary").click()
    page.locator("#view-name").press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_skip_link_is_the_first_stop(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.goto("jobs/job/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")


def test_pages_can_be_read_without_a_script(open_page: Callable[..., Page], installation: Installation) -> None:
    """What the server sends says everything; a script only adds comfort."""
    page = open_page()
    state = page.context.storage_state()
    browser = page.context.browser
    assert browser
    plain = browser.new_context(
        base_url=f"http://127.0.0.1:{installation.port}/admin/", java_script_enabled=False, storage_state=state
    )
    try:
        bare = plain.new_page()
        for path, text in (("", "The coming hour"), ("calendar/", "Calendar"), ("account/", "API tokens")):
            bare.goto(path)
            expect(bare.get_by_role("heading", name=text).first).to_be_visible()
    finally:
        plain.close()
