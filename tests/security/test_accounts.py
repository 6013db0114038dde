"""Attacks with a stolen access token, and what ends when an account is reset, demoted or disabled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth import api_tokens
from accounts.models import ApiToken, LoginSession, User
from core.api.errors import Conflict
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "Changed-without-old-one-1"
ClientOf = Callable[[User], APIClient]


def path_of(user: User) -> str:
    return f"/api/v2/auth/users/{user.pk}"


@pytest.fixture
def stolen(client_of: ClientOf, user: User) -> APIClient:
    """A client with an access token of a login that began 20 minutes ago."""
    client = client_of(user)
    LoginSession.objects.update(created_at=timezone.now() - dt.timedelta(minutes=20))
    return client


class TestTheOldPassword:
    @pytest.mark.parametrize("change", [{"password": NEW}, {"email": "boss@corp.example"}])
    def test_a_token_alone_takes_no_account(self, stolen: APIClient, user: User, change: dict[str, Any]) -> None:
        answer = stolen.put(path_of(user), change)
        assert (answer.status_code, answer.json()["error"]) == (403, "Current password required")
        assert stolen.put(path_of(user), {**change, "current_password": "wrong"}).status_code == 403
        user.refresh_from_db()
        assert user.check_password(PASSWORD)
        assert user.email == "uma@example.com"
        assert stolen.put(path_of(user), {**change, "current_password": PASSWORD}).status_code == 200

    def test_it_cannot_be_guessed_here(self, stolen: APIClient, user: User) -> None:
        sent = {"password": NEW, "current_password": "wrong"}
        assert [stolen.put(path_of(user), sent).status_code for _number in range(12)][-1] == 429

    def test_a_login_of_just_now_need_not_repeat_it(self, client_of: ClientOf, user: User) -> None:
        assert client_of(user).put(path_of(user), {"password": NEW}).status_code == 200

    def test_admins_reset_others(self, client_of: ClientOf, admin: User, user: User) -> None:
        client = client_of(admin)
        LoginSession.objects.update(created_at=timezone.now() - dt.timedelta(hours=1))
        assert client.put(path_of(user), {"password": NEW}).status_code == 200
        assert client.put(path_of(admin), {"password": NEW}).status_code == 403

    def test_the_admins_page_asks_too(self, browser: Client, admin: User) -> None:
        page = f"/admin/accounts/user/{admin.pk}/password/"
        assert browser.get(page).headers["Location"] == "/admin/password_change/"
        assert browser.post(page, {"password1": NEW, "password2": NEW}).status_code == 302
        admin.refresh_from_db()
        assert admin.check_password(PASSWORD)
        form = {
            "username": "ada",
            "email": "x@example.com",
            "role": "admin",
            "is_active": "on",
            "email_confirmed": "on",
        }
        answer = browser.post(f"/admin/accounts/user/{admin.pk}/change/", form)
        assert b"current password" in answer.content.lower()
        form["current_password"] = PASSWORD
        assert browser.post(f"/admin/accounts/user/{admin.pk}/change/", form).status_code == 302
        admin.refresh_from_db()
        assert admin.email == "x@example.com"


class TestWhatEnds:
    """Each way of taking access away ends every session, login and token, for good."""

    @pytest.fixture
    def everything(self, client_of: ClientOf, user: User) -> Callable[[], list[int]]:
        client, token, browser = client_of(user), APIClient(), Client()
        token.credentials(HTTP_AUTHORIZATION=f"Bearer {api_tokens.make(user, 'ci')[1]}")
        User.objects.filter(pk=user.pk).update(admin_access=True)
        user.refresh_from_db()
        browser.force_login(user)

        def statuses() -> list[int]:
            return [
                client.get("/api/v2/jobs").status_code,
                token.get("/api/v2/jobs").status_code,
                browser.get("/admin/").status_code,
            ]

        assert statuses() == [200, 200, 200]
        return statuses

    @pytest.mark.parametrize("change", [{"password": NEW}, {"is_active": False}])
    def test_by_the_api(
        self, everything: Callable[[], list[int]], api: APIClient, user: User, change: dict[str, Any]
    ) -> None:
        assert api.put(path_of(user), change).status_code == 200
        assert everything() == [401, 401, 302]
        api.put(path_of(user), {"is_active": True})
        assert everything() == [401, 401, 302]
        assert not ApiToken.objects.exists()

    def test_a_lower_role_ends_the_tokens(
        self, everything: Callable[[], list[int]], api: APIClient, user: User
    ) -> None:
        assert api.put(path_of(user), {"role": "viewer"}).status_code == 200
        # The contract: a login goes on with the new role.
        assert everything() == [200, 401, 200]

    def test_by_the_admins_form(self, everything: Callable[[], list[int]], browser: Client, user: User) -> None:
        form = {"username": "uma", "email": "uma@example.com", "role": "user", "admin_access": "on", "is_active": "on"}
        page = f"/admin/accounts/user/{user.pk}/change/"
        assert browser.post(page, {**form, "is_active": ""}).status_code == 302
        assert everything() == [401, 401, 302]
        assert browser.post(page, form).status_code == 302
        assert everything() == [401, 401, 302]

    def test_by_the_admins_password_page(
        self, everything: Callable[[], list[int]], browser: Client, user: User
    ) -> None:
        page = f"/admin/accounts/user/{user.pk}/password/"
        body = {"password1": NEW, "password2": NEW, "usable_password": "true"}
        assert browser.post(page, body).status_code == 302
        assert everything() == [401, 401, 302]

    def test_a_stronger_hash_of_the_same_password_ends_no_token(
        self, everything: Callable[[], list[int]], user: User, settings: Any
    ) -> None:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
        assert User.objects.get(pk=user.pk).check_password(PASSWORD)
        user.refresh_from_db()
        assert user.password.startswith("pbkdf2")
        assert ApiToken.objects.count() == 1

    def test_more_rights_end_nothing(self, everything: Callable[[], list[int]], api: APIClient, user: User) -> None:
        api.put(path_of(user), {"role": "admin", "email": "other@example.com"})
        assert everything() == [200, 200, 200]


def test_the_window_of_a_new_login_ends(client_of: ClientOf, user: User) -> None:
    client = client_of(user)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=16), tick=False):
        assert client.put(path_of(user), {"password": NEW}).status_code == 403


class TestProfiles:
    def test_an_address_that_stays_is_no_change(self, stolen: APIClient, user: User) -> None:
        answer = stolen.put(path_of(user), {"email": "UMA@example.com"})
        assert (answer.status_code, answer.json()["updated_fields"]) == (200, ["email"])
        user.refresh_from_db()
        assert user.email_confirmed
        assert stolen.put(path_of(user), {"email": "uma@example.com", "password": NEW}).status_code == 403

    @pytest.mark.parametrize("spelling", [str, lambda pk: str(pk).upper(), lambda pk: pk.hex])
    def test_ones_own_id_in_every_spelling(self, browser: Client, admin: User, spelling: Callable[[Any], str]) -> None:
        page = f"/admin/accounts/user/{spelling(admin.pk)}/password/"
        browser.post(page, {"password1": NEW, "password2": NEW, "usable_password": "true"})
        admin.refresh_from_db()
        assert admin.check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_tokens_that_are_made_at_once_are_counted_together(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 3)

    def make(number: int) -> str:
        try:
            return api_tokens.make(user, f"token {number}")[1]
        except Conflict as exc:
            return exc.error
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make, range(8)))
    assert made.count("Too many tokens") == 5
    assert user.api_tokens.count() == 3
