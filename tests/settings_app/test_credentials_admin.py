"""GitHub credentials in the admin: written, never shown, and replaceable when their key is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import ChangeRecord
from jobs.models import Job
from settings_app.models import GitHubCredential

pytestmark = pytest.mark.django_db


def form(**changes: str) -> dict[str, str]:
    return {
        "name": "CI",
        "kind": "token",
        "app_id": "",
        "installation_id": "",
        "new_token": "",
        "new_private_key": "",
        "usable_by": "admins",
        "at_once": "50",
        "per_minute": "150",
        "hold_limit_seconds": "900",
        **changes,
    }


def test_it_is_kept_encrypted_and_not_shown(browser: Client) -> None:
    page = reverse("admin:settings_app_githubcredential_add")
    assert "Paste the token." in browser.post(page, form()).content.decode()
    assert "invalid characters" in browser.post(page, form(new_token="日本")).content.decode()
    assert browser.post(page, form(new_token="ghp_secret")).status_code == 302
    one = GitHubCredential.objects.get()
    assert one.token == "ghp_secret"
    page = reverse("admin:settings_app_githubcredential_change", args=[one.pk])
    assert "ghp_secret" not in browser.get(page).content.decode()
    assert browser.post(page, form(name="Renamed")).status_code == 302
    one = GitHubCredential.objects.get()
    assert (one.name, one.token) == ("Renamed", "ghp_secret")
    assert "needs its app id" in browser.post(page, form(kind="app")).content.decode()


def test_one_whose_key_is_lost_closes_no_page_and_can_be_replaced(
    browser: Client, api: APIClient, make_job: Callable[..., Job], settings: Any
) -> None:
    one = GitHubCredential.objects.create(name="CI", token="old")
    job = make_job(github_owner="a", github_repo="b", github_workflow_name="c.yml", github_credential="CI")
    settings.CRONSCHED_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    for name, args in (
        ("settings_app_githubcredential_changelist", []),
        ("settings_app_githubcredential_change", [one.pk]),
        ("jobs_job_add", []),
        ("jobs_job_change", [job.pk]),
    ):
        assert browser.get(reverse(f"admin:{name}", args=args)).status_code == 200, name
    assert api.get(f"/api/v2/jobs/{job.pk}").json()["job"]["github_credential"] == "CI"
    checked = browser.post(reverse("admin:credential_check", args=[one.pk]), follow=True)
    assert "cannot be opened" in checked.content.decode()
    page = reverse("admin:settings_app_githubcredential_change", args=[one.pk])
    assert browser.post(page, form(new_token="new")).status_code == 302
    assert GitHubCredential.objects.get().token == "new"


def test_the_secret_of_the_webhook_is_in_no_record(browser: Client, api: APIClient) -> None:
    secret = "hook-secret-0123456789"
    page = reverse("admin:settings_app_githubcredential_add")
    assert browser.post(page, form(new_token="ghp_secret", new_webhook_secret=secret)).status_code == 302
    page = browser.get(reverse("admin:settings_app_environmenttoken_changelist")).headers["Location"]
    budget = {"usable_by": "admins", "at_once": "50", "per_minute": "150", "hold_limit_seconds": "900"}
    assert browser.post(page, {**budget, "new_webhook_secret": secret}).status_code == 302
    assert "at least 16" in browser.post(page, {**budget, "new_webhook_secret": "short"}).content.decode().lower()
    assert secret.encode() not in b"".join(api.get("/api/v2/audit").streaming_content)
    assert secret not in str(list(ChangeRecord.objects.values_list("difference", flat=True)))


def test_a_page_named_without_hyphens_is_shown(browser: Client) -> None:
    one = GitHubCredential.objects.create(name="CI", token="old")
    assert browser.get(f"/admin/settings_app/githubcredential/{one.pk.hex}/change/").status_code == 200
