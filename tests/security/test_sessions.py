"""Sessions: listed, ended, limited, and worthless to who reads the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth import api_tokens
from accounts.models import User, WebSession
from accounts.second_factor import devices
from audit.models import ChangeRecord
from settings_app.models import SlackSettings
from tests.conftest import PASSWORD
from tests.support.second_factor import code_of

pytestmark = pytest.mark.django_db


def key_of(browser: Client) -> str:
    return str(browser.cookies["sessionid"].value)


@pytest.fixture
def logged_in(admin: User) -> Client:
    browser = Client()
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    return browser


class TestSessionsOfTheAdmin:
    def test_the_database_holds_no_key(self, logged_in: Client) -> None:
        row = WebSession.objects.get(user__isnull=False)
        assert key_of(logged_in) not in str(row.__dict__)
        thief = Client()
        thief.cookies["sessionid"] = row.session_key
        assert thief.get("/admin/").status_code == 302

    def test_a_session_ends_after_a_time_without_requests(self, logged_in: Client, settings: Any) -> None:
        settings.SESSION_IDLE_SECONDS = 3600
        now = timezone.now()
        for minutes in (50, 100, 150):
            with time_machine.travel(now + dt.timedelta(minutes=minutes), tick=False):
                assert logged_in.get("/admin/").status_code == 200
        with time_machine.travel(now + dt.timedelta(minutes=211), tick=False):
            assert logged_in.get("/admin/").status_code == 302

    def test_and_after_its_longest_time(self, logged_in: Client) -> None:
        with time_machine.travel(timezone.now() + dt.timedelta(days=14, minutes=1), tick=False):
            assert logged_in.get("/admin/").status_code == 302

    def test_login_and_second_factor_change_the_key(self, admin: User) -> None:
        devices.confirm(devices.draft(admin), code_of(admin))
        browser = Client()
        browser.get("/admin/login/")
        browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        before = key_of(browser)
        assert browser.post("/second-factor/", {"code": code_of(admin, ahead=1)}).status_code == 302
        assert key_of(browser) != before
        thief = Client()
        thief.cookies["sessionid"] = before
        assert thief.get("/admin/").status_code == 302
        assert browser.get("/admin/").status_code == 200

    def test_admins_list_and_end_them(
        self, logged_in: Client, browser_of: Callable[[User], Client], user: User
    ) -> None:
        User.objects.filter(pk=user.pk).update(admin_access=True)
        user.refresh_from_db()
        other = browser_of(user)
        assert other.get("/admin/").status_code == 200
        assert b"uma" in logged_in.get("/admin/accounts/websession/").content
        row = WebSession.objects.get(user=user)
        logged_in.post(f"/admin/accounts/websession/{row.pk}/delete/", {"post": "yes"})
        assert other.get("/admin/").status_code == 302
        assert ChangeRecord.objects.filter(kind="login ended", name="uma").exists()


class TestTheApi:
    URL = "/api/v2/auth/sessions"

    def test_everybody_lists_and_ends_their_own(
        self, client_of: Callable[[User], APIClient], user: User, viewer: User, browser_of: Callable[[User], Client]
    ) -> None:
        client, other, browser = client_of(user), client_of(user), browser_of(user)
        client_of(viewer)
        found = client.get(self.URL).json()["sessions"]
        assert sorted(one["kind"] for one in found) == ["admin", "api", "api"]
        assert [one["is_current"] for one in found].count(True) == 1
        for one in found:
            if not one["is_current"]:
                assert client.delete(f"{self.URL}/{one['id']}").status_code == 200
        assert other.get("/api/v2/auth/me").status_code == 401
        assert browser.get("/admin/").status_code == 302
        assert client.get("/api/v2/auth/me").status_code == 200

    def test_nobody_ends_those_of_others(
        self, client_of: Callable[[User], APIClient], user: User, viewer: User
    ) -> None:
        client, other = client_of(user), client_of(viewer)
        (theirs,) = other.get(self.URL).json()["sessions"]
        answer = client.delete(f"{self.URL}/{theirs['id']}")
        assert (answer.status_code, answer.json()["error"]) == (404, "Session not found")
        assert other.get("/api/v2/auth/me").status_code == 200

    def test_no_answer_is_kept_by_a_cache(self, api: APIClient, admin: User) -> None:
        paths = ["auth/me", "auth/users", "auth/tokens", "settings/slack", "executions", "nothing", "jobs/x"]
        for path in paths:
            assert api.get(f"/api/v2/{path}").headers["Cache-Control"] == "no-store", path
        body = {"username": "ada", "password": PASSWORD}
        assert APIClient().post("/api/v2/auth/login", body).headers["Cache-Control"] == "no-store"
        assert "private" in api.get("/api/v2/jobs").headers["Cache-Control"]


class TestTokens:
    def test_a_new_token_is_in_no_cookie(self, browser: Client) -> None:
        answer = browser.post("/admin/accounts/apitoken/add/", {"name": "ci", "scope": "read", "days": "9"})
        assert answer.status_code == 302
        assert set(answer.cookies) <= {"sessionid", "csrftoken"}
        shown = browser.get("/admin/accounts/apitoken/")
        assert b"csk_" in shown.content
        assert "no-store" in shown.headers["Cache-Control"]
        assert b"shown again: csk_" not in browser.get("/admin/accounts/apitoken/").content

    def test_a_token_reads_no_slack_url(self, admin: User, api: APIClient) -> None:
        url = "https://hooks.slack.com/services/T000/B000/SLACKSECRET"
        assert api.put("/api/v2/settings/slack", {"webhook_url": url}).status_code == 200
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_tokens.make(admin, 'ci', 'write')[1]}")
        shown = client.get("/api/v2/settings/slack").json()["slack_settings"]
        assert "SLACKSECRET" not in str(shown)
        answer = client.put("/api/v2/settings/slack", {"webhook_url": shown["webhook_url"], "channel": "#x"})
        assert "SLACKSECRET" not in answer.content.decode()
        assert SlackSettings.current().webhook_url == url
        assert api.get("/api/v2/settings/slack").json()["slack_settings"]["webhook_url"] == url


class TestKeysAreChanged:
    def test_sessions_and_logins_outlive_a_new_secret_key(
        self, logged_in: Client, admin: User, client_of: Callable[[User], APIClient], settings: Any
    ) -> None:
        admin.set_password(PASSWORD)
        admin.save()
        browser = Client()
        browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
        client = client_of(User.objects.get(pk=admin.pk))
        assert logged_in.get("/admin/").status_code == 302
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
        assert browser.get("/admin/").status_code == 200
        assert client.get("/api/v2/auth/me").status_code == 200
        # Sessions that were used meanwhile are tied to the new key.
        settings.SECRET_KEY_FALLBACKS = []
        assert browser.get("/admin/").status_code == 200

    def test_work_does_not_prolong_a_session_for_ever(self, logged_in: Client) -> None:
        now = timezone.now()
        for days in range(1, 14):
            with time_machine.travel(now + dt.timedelta(days=days * 0.99), tick=False):
                # A message is stored in the session.
                logged_in.post("/admin/jobs/job/", {"action": "run_now"})
                assert logged_in.get("/admin/").status_code == 200
        with time_machine.travel(now + dt.timedelta(days=14, minutes=5), tick=False):
            assert logged_in.get("/admin/").status_code == 302

    def test_what_has_ended_is_not_listed(self, logged_in: Client, api: APIClient, admin: User) -> None:
        assert [one["kind"] for one in api.get(TestTheApi.URL).json()["sessions"]].count("admin") == 1
        with time_machine.travel(timezone.now() + dt.timedelta(days=2), tick=False):
            assert WebSession.objects.count() == 1
        admin.set_password(PASSWORD)
        admin.save()
        assert not WebSession.objects.filter(user=admin).exists()
