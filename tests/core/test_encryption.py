"""Secrets at rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from core.db.encryption import UndecryptableError, decrypt, encrypt
from jobs.models import Job
from jobs.services import pause_expired
from settings_app.models import SlackSettings

URL = "https://hooks.slack.com/services/secret"


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT webhook_url FROM settings_app_slacksettings")
        return str(cursor.fetchone()[0])


def test_what_is_stored_tells_nothing_and_differs_each_time() -> None:
    assert "secret" not in encrypt("secret")
    assert encrypt("secret") != encrypt("secret")
    assert decrypt(encrypt("秘密")) == "秘密"


@pytest.mark.django_db
def test_keys_are_rotated(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.CRONSCHED_ENCRYPTION_KEYS = ["old"]
    SlackSettings.objects.create(webhook_url=URL)
    before = stored()
    assert "secret" not in before
    settings.CRONSCHED_ENCRYPTION_KEYS = ["new", "old"]
    assert SlackSettings.current().webhook_url == URL
    call_command("reencrypt")
    assert "1 secrets" in capsys.readouterr().out
    settings.CRONSCHED_ENCRYPTION_KEYS = ["new"]
    assert SlackSettings.current().webhook_url == URL
    assert stored() != before


@pytest.mark.django_db
def test_a_lost_key_is_told_with_the_remedy(settings: Any, api: Any) -> None:
    SlackSettings.objects.create(webhook_url=URL)
    settings.CRONSCHED_ENCRYPTION_KEYS = ["another"]
    with pytest.raises(UndecryptableError, match="CRONSCHED_ENCRYPTION_KEYS"):
        SlackSettings.current()
    answer = api.get("/api/v2/settings/slack")
    assert (answer.status_code, answer.json()["error"]) == (503, "Secret cannot be opened")


@pytest.mark.django_db
def test_a_lost_key_stops_no_job_and_the_url_can_be_set_anew(settings: Any, api: Any, make_job: Any) -> None:
    SlackSettings.objects.create(webhook_url=URL, is_enabled=True)
    settings.CRONSCHED_ENCRYPTION_KEYS = ["another"]
    make_job()
    Job.objects.update(end_date="2024-01-01")
    assert len(pause_expired()) == 1
    answer = api.put("/api/v2/settings/slack", {"webhook_url": "https://hooks.slack.com/new"})
    assert answer.json()["slack_settings"]["webhook_url"] == "https://hooks.slack.com/new"
