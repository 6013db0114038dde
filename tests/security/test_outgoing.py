"""Every address that the product calls goes one way out: by the target policy, and without redirects."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

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
            for name in ("api", "failures", "limits", "pickers", "repairs", "step_logs", "target", "test_reports",
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
