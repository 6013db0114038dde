"""One trail of every change, by API or admin, with the actor, the address and the difference, and no secret in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from audit.models import ChangeRecord
from jobs.models import Job
from settings_app.models import SlackSettings
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db


def latest(**wanted: Any) -> ChangeRecord:
    return ChangeRecord.objects.filter(**wanted)[0]


def test_api_and_admin_leave_the_same_trail(
    api: APIClient, browser: Client, admin: User, make_job: Callable[..., Job], team: PicTeam
) -> None:
    job = make_job()
    api.put(f"/api/v2/jobs/{job.pk}", {"cron_expression": "5 2 * * *"}, REMOTE_ADDR="192.0.2.7")
    told = latest(subject="job", kind="updated")
    assert (told.by, told.address, told.subject_id) == (admin, "192.0.2.7", job.pk)
    assert told.difference == {"cron_expression": ["0 2 * * *", "5 2 * * *"]}
    browser.post(reverse("admin:jobs_job_disable", args=[job.pk]), REMOTE_ADDR="192.0.2.8")
    assert (latest(subject="job", kind="disabled").by, latest(kind="disabled").address) == (admin, "192.0.2.8")
    api.put(f"/api/v2/pic-teams/{team.pk}", {"name": "Renamed"}, REMOTE_ADDR="192.0.2.9")
    told = latest(subject="pic_team")
    assert (told.by, told.address, told.name) == (admin, "192.0.2.9", "Renamed")
    assert told.difference["name"] == ["QA Team", "Renamed"]


def test_accounts(api: APIClient, user: User, admin: User) -> None:
    api.put(f"/api/v2/auth/users/{user.pk}", {"role": "viewer", "password": "another long password"})
    told = latest(subject="user", kind="updated")
    assert told.by == admin
    assert told.difference == {"password": ["(hidden)", "(hidden)"], "role": ["user", "viewer"]}
    api.delete(f"/api/v2/auth/users/{user.pk}")
    assert latest(subject="user", kind="deleted").name == str(user)


def test_no_secret_is_in_it(api: APIClient, browser: Client) -> None:
    secret = "https://hooks.slack.example.com/services/T0/B0/very-secret"
    page = browser.get(reverse("admin:settings_app_slacksettings_changelist")).headers["Location"]
    browser.post(page, {"is_enabled": "on", "new_webhook_url": secret, "channel": "#x"})
    assert SlackSettings.objects.get().webhook_url == secret
    assert latest(subject="slack_settings").difference["webhook_url"][1] == "(hidden)"
    assert "very-secret" not in json.dumps(list(ChangeRecord.objects.values_list("difference", "name")))


def test_logging_in_is_no_change(admin: User) -> None:
    changes = ChangeRecord.objects.exclude(subject="security")
    before = changes.count()
    Client().post(reverse("admin:login"), {"username": "ada", "password": "correct horse battery"})
    assert changes.count() == before
