"""The form of a workflow's job offers what GitHub has, and writes the inputs into the request body. What GitHub has is
asked in tests/console/pages/test_github_form.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.long

OFFERED: dict[str, Any] = {
    "repositories": ["acme/docs", "acme/shop", "other/x"],
    "workflows": ["ci.yml", "e2e.yml"],
    "branches": ["main", "release/2"],
    "inputs": [
        {"name": "browser", "type": "choice", "options": ["chrome", "firefox"], "default": "", "required": True,
         "description": "<b>Which</b>"},
        {"name": "headless", "type": "boolean", "options": [], "default": "true", "required": False, "description": ""},
        {"name": "retries", "type": "number", "options": [], "default": "", "required": False, "description": ""},
    ],
    "problem": "",
}  # fmt: skip


def test_choices_and_inputs(open_page: Callable[..., Page]) -> None:
    page = open_page()
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json=OFFERED)

    page.route("**/jobs/job/pick/**", answer)
    page.goto("jobs/job/add/")
    page.check("input[name=target_kind][value=github]")
    page.fill("#id_github_owner", "acme")
    page.fill("#id_github_repo", "shop")
    page.fill("#id_github_workflow_name", "e2e.yml")
    panel = page.locator(".cs-inputs")
    expect(panel).to_be_visible()
    offered = page.evaluate("[...document.querySelectorAll('#id_github_repo-offered option')].map((one) => one.value)")
    assert offered == ["docs", "shop"]
    # A description is text, and a required input says so.
    expect(panel).to_contain_text("<b>Which</b>")
    expect(panel).to_contain_text("browser (required)")
    page.get_by_label("browser (required)").select_option("firefox")
    page.get_by_label("headless").select_option("false")
    page.get_by_label("retries").fill("3")
    page.get_by_label("retries").blur()
    assert json.loads(page.input_value("#id_metadata")) == {"browser": "firefox", "headless": "false", "retries": "3"}
    page.get_by_label("headless").select_option("")
    assert "headless" not in json.loads(page.input_value("#id_metadata"))
    # Free text stays possible, and a webhook asks GitHub nothing.
    page.fill("#id_github_repo", "not-offered")
    assert page.input_value("#id_github_repo") == "not-offered"
    before = len(asked)
    page.check("input[name=target_kind][value=webhook]")
    expect(panel).to_be_hidden()
    page.fill("#id_cron_expression", "0 9 * * *")
    page.wait_for_timeout(600)
    assert len(asked) <= before + 1
