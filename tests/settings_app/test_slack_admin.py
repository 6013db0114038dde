"""Slack's page: one form, and a test message whose answer is shown. The server on loopback stands in for Slack."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from settings_app.models import SlackSettings
from tests.support.target import Target

pytestmark = pytest.mark.django_db


def send(browser: Client) -> str:
    return browser.post(reverse("admin:slack_test"), follow=True).content.decode()


def test_the_list_is_the_form(browser: Client) -> None:
    answer = browser.get(reverse("admin:settings_app_slacksettings_changelist"), follow=True)
    assert answer.redirect_chain[-1][0].endswith("/change/")
    assert b"Send test message" in answer.content


def test_a_test_message_shows_what_slack_answers(browser: Client, target: Target) -> None:
    slack = SlackSettings.current()
    assert "no webhook URL is stored" in send(browser)
    slack.webhook_url, slack.channel = target.url + "/text?t=ok", "#qa"
    slack.save()
    assert "Slack answered: ok" in send(browser)
    assert target.arrivals[0].json == {"text": "A test message from Cronsched.", "channel": "#qa"}
    slack.webhook_url = target.url + "/status/404"
    slack.save()
    page = send(browser)
    assert "Slack answered 404: the reason" in page
    assert target.url not in page
    refused = browser.get(reverse("admin:slack_test"))
    assert (refused.status_code, refused["Allow"]) == (405, "POST")
