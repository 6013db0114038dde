from __future__ import annotations

import pytest

from settings_app.models import SlackSettings
from tests.support.target import Target


@pytest.fixture
def slack(db: None, target: Target) -> str:
    """The path of a Slack webhook on the target."""
    SlackSettings.objects.create(is_enabled=True, webhook_url=target.url + "/slack", channel="#qa")
    return "/slack"
