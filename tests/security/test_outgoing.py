"""Every address that the product calls goes one way out: by the target policy, and without redirects."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.test import Client
from django.urls import reverse

from executions.targets.github import api
from notifications.channels import slack
from notifications.channels.failure import SendingFailed
from settings_app.models import SlackSettings
from tests.support.installation import ROOT
from tests.support.target import Target

pytestmark = pytest.mark.django_db


@pytest.fixture
def settings_of_slack(target: Target) -> SlackSettings:
    found = SlackSettings.current()
    found.webhook_url = target.url + "/slack"
    found.save()
    return found


class TestSlack:
    @pytest.mark.parametrize(
        "url",
        [
            "https://169.254.169.254/x",
            "https://10.0.0.1/",
            "https://[fec0::1]/",
            "https://192.0.0.192/",
            "https://0x7f.1/",
        ],
    )
    def test_it_reaches_nothing_that_a_webhook_may_not(
        self, settings_of_slack: SlackSettings, url: str, settings: Any
    ) -> None:
        settings.CRONSCHED_ALLOWED_TARGETS = []
        settings_of_slack.webhook_url = url
        with pytest.raises(SendingFailed, match="not allowed"):
            slack.post(settings_of_slack, "hello")

    def test_it_follows_no_redirect(self, settings_of_slack: SlackSettings, target: Target) -> None:
        inside = target.url + "/latest/meta-data"
        target.answers["/slack"] = lambda _: (302, {"Location": inside}, b"")
        with pytest.raises(SendingFailed, match="Slack answered 302"):
            slack.post(settings_of_slack, "hello")
        assert target.paths() == ["/slack"]

    def test_little_of_an_answer_is_shown(self, browser: Client, settings_of_slack: Any, target: Target) -> None:
        target.answers["/slack"] = lambda _: (200, {}, b"x" * 100 + b"SECRET" + b"y" * 10_000 + b"THE END")
        shown = browser.post(reverse("admin:slack_test"), follow=True).content.decode()
        assert "THE END" not in shown
        assert shown.count("y") < 2_000


class TestStorageOfGitHub:
    """Where the API redirects for logs and artifacts."""

    @pytest.fixture
    def redirected(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[str], bool]:
        settings.CRONSCHED_ALLOWED_TARGETS = []
        inside, outside = "10.0.0.1", "1.1.1.1"
        names = {"storage.example": [outside], "inside.example": [inside], "both.example": [outside, inside]}
        asked: list[str] = []

        def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
            if host not in names:
                raise OSError("unknown")
            return [(None, None, None, "", (address, 443)) for address in names[host]]

        def request(_: requests.Session, method: str, url: str, **__: Any) -> requests.Response:
            asked.append(url)
            raise requests.ConnectionError

        def leads(location: str) -> bool:
            answer = requests.Response()
            answer.status_code, answer.headers["Location"] = 302, location
            monkeypatch.setattr(api, "get", lambda *_: answer)
            asked.clear()
            with pytest.raises(api.LeftOut):
                api.download("/log", "token", 100)
            return asked == [location]

        monkeypatch.setattr(requests.Session, "request", request)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return leads

    @pytest.mark.parametrize(
        ("location", "is_asked"),
        [
            ("https://storage.example/a", True),
            ("http://storage.example/a", False),
            ("https://inside.example/a", False),
            ("https://both.example/a", False),
            ("https://unknown.example/a", False),
            ("https://169.254.169.254/latest", False),
            ("https://[::1]/", False),
            ("https://0x7f.1/", False),
            ("https:///a", False),
            ("https://[broken/", False),
            ("file:///etc/passwd", False),
            ("", False),
        ],
    )
    def test_of_the_public_api(self, redirected: Callable[[str], bool], location: str, is_asked: bool) -> None:
        assert redirected(location) is is_asked

    def test_of_a_companys_server(self, redirected: Callable[[str], bool], settings: Any) -> None:
        settings.GITHUB_API_URL = "https://github.inside.example/api/v3"
        assert redirected("https://inside.example/a")
        assert not redirected("http://inside.example/a")

    def test_behind_a_proxy_that_looks_names_up(self, redirected: Callable[[str], bool], settings: Any) -> None:
        settings.OUTBOUND_PROXY = "http://127.0.0.1:3128"
        assert redirected("https://unknown.example/a")
        assert not redirected("https://inside.example/a")


def test_nothing_else_calls_out() -> None:
    """`requests` only for GitHub's API and single sign-on, whose addresses are the operator's."""
    calls = re.compile(
        r"^\s*(?:import|from) (requests|urllib\.request|http\.client|httpx|aiohttp|urllib3)\b", re.MULTILINE
    )
    allowed = {
        "accounts/auth/oidc.py", "core/runtime/outbound.py", "demo/github_stand_in/server.py",
        *(f"executions/runs/{name}.py" for name in ("follower", "listing", "reruns")),
        *(
            f"executions/targets/github/{name}.py"
            for name in ("api", "failures", "limits", "pickers", "repairs", "target", "test_reports",
                         "workflow_inputs")
        ),
        *(f"moving/{name}.py" for name in ("double_runs", "github", "services")),
    }  # fmt: skip
    skipped = {"tests", ".venv", "benchmarks", "demo", "deploy"}
    found = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if not skipped & set(file.relative_to(ROOT).parts) and calls.search(file.read_text())
    }
    assert found <= allowed
