"""A real browser on a real installation. A console message or a failed request fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.installation import ADMIN_PASSWORD, Installation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Say plainly that pages were not looked at where there is no browser."""
    if CHROMIUM is None:
        for item in items:
            if HERE in Path(item.fspath).parents:
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed: the admin's pages were not tested"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, installation: Installation) -> Iterator[Callable[..., Page]]:
    """Opens a page as an admin; options are those of a browser context (viewport, color_scheme, locale). `refused`: the
    pages that may answer with an error.
    """
    contexts, troubles = [], []

    def allowed(request: Any) -> bool:
        return bool(request.url.startswith(f"http://127.0.0.1:{installation.port}/"))

    def make(
        username: str = "admin", password: str = ADMIN_PASSWORD, refused: Collection[str] = (), **options: Any
    ) -> Page:
        def is_refused(url: str) -> bool:
            return url.partition("/admin/")[2] in refused

        context = chromium.new_context(
            base_url=f"http://127.0.0.1:{installation.port}/admin/",
            **{"locale": "en", "timezone_id": "Asia/Tokyo", **options},
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on(
            "console",
            lambda message: (
                troubles.append(message.text)
                if message.type in {"error", "warning"} and not is_refused(message.location["url"])
                else None
            ),
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "requestfailed",
            lambda request: (
                troubles.append(f"failed: {request.url} {request.failure}")
                if "ERR_ABORTED" not in str(request.failure)
                else None
            ),
        )
        page.on("request", lambda request: None if allowed(request) else troubles.append(f"foreign: {request.url}"))
        page.on(
            "response",
            lambda answer: (
                troubles.append(f"{answer.status} {answer.url}")
                if answer.status >= 400 and not is_refused(answer.url)
                else None
            ),
        )
        page.goto("login/?next=/admin/")
        page.fill("#id_username", username)
        page.fill("#id_password", password)
        page.click("button[type=submit]")
        page.wait_for_url("**/admin/")
        return page

    yield make
    for context in contexts:
        context.close()
    assert not troubles
