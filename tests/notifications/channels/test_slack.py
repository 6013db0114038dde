"""Slack: mentions, links, retries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.services import pause_expired
from notifications.models import Message, MessageStatus
from notifications.outbox import send_due
from notifications.rendering import escaped, mention
from settings_app.models import SlackSettings
from tests.support.target import Target

pytestmark = pytest.mark.django_db


class TestSlack:
    def test_an_ended_job_is_told_with_the_teams_mention_and_a_link(
        self, make_job: Callable[..., Job], slack: str, target: Target
    ) -> None:
        job = make_job(name="<!channel> & co")
        job.pic_team.slack_handle = "@S0123ABC"
        job.pic_team.save()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        assert send_due("slack") == 1
        sent = target.arrivals[0].json
        assert sent["channel"] == "#qa"
        assert sent["text"].startswith("<!subteam^S0123ABC> Job *&lt;!channel&gt; &amp; co* was paused")
        assert f"/jobs/{job.pk}/edit|" in sent["text"]
        assert send_due("slack") == 0

    def test_nothing_while_slack_is_off(self, make_job: Callable[..., Job]) -> None:
        make_job()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        assert not Message.objects.exists()

    def test_what_slack_refuses_is_tried_again(self, make_job: Callable[..., Job], target: Target) -> None:
        SlackSettings.objects.create(is_enabled=True, webhook_url=target.url + "/status/500")
        make_job()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        send_due("slack")
        message = Message.objects.get()
        assert (message.status, message.attempts) == (MessageStatus.PENDING, 1)
        assert message.last_error == "Slack answered 500: the reason"
        assert message.next_attempt_at > timezone.now()

    @pytest.mark.parametrize(
        ("handle", "shown"),
        [
            ("@S0123ABC", "<!subteam^S0123ABC>"),
            ("U0123ABC", "<@U0123ABC>"),
            ("@qa", "@qa"),
            ("<!here>", "&lt;!here&gt;"),
        ],
    )
    def test_mentions(self, handle: str, shown: str) -> None:
        assert mention(handle) == shown
        assert escaped("a<b>&c") == "a&lt;b&gt;&amp;c"
