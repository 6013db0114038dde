"""The page behind a reminder's link, in a browser without an account: browsers send what test clients do not."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.contract import make_job, team
from tests.support.installation import Installation

pytestmark = pytest.mark.long


def test_a_job_is_extended_by_a_click(chromium: Browser, installation: Installation) -> None:
    team(installation.admin)
    job = make_job(installation.admin, end_date="2098-01-01")
    token = installation.python(
        f"from jobs import signed_links; from jobs.services import get_job; "
        f"print(signed_links.sign(get_job('{job['id']}')))"
    )
    context = chromium.new_context(locale="en")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{installation.port}/extend/{token.strip()}/")
    page.get_by_role("button", name="Extend it until 2098-01-31").click()
    expect(page.get_by_role("status")).to_contain_text("now ends on")
    context.close()
    assert installation.admin.get(f"/jobs/{job['id']}").json()["job"]["end_date"] == "2098-01-31"
