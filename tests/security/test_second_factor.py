"""Attacks on the second factor: paths, headers, and the API beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth import api_tokens
from accounts.models import LoginFailures, LoginSession, User
from accounts.second_factor import devices
from audit.models import ChangeRecord
from tests.conftest import PASSWORD
from tests.support.second_factor import code_of

PREFIXES = ["/%7a", "/zzz", '/a"b', "/[x]", "/^", "/%2f", "/admin", "/second-factor"]


@pytest.fixture
def with_factor(admin: User) -> User:
    devices.confirm(devices.draft(admin), code_of(admin))
    return admin


@pytest.fixture
def anyone(db: None) -> APIClient:
    return APIClient(raise_request_exception=False)


def log_in(anyone: APIClient, user: User, **more: Any) -> Any:
    return anyone.post("/api/v2/auth/login", {"username": user.username, "password": PASSWORD, **more})


@pytest.mark.django_db
class TestThePageBehindThePassword:
    @pytest.mark.parametrize("prefix", PREFIXES)
    @pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/import/", "/admin/calendar/"])
    def test_a_script_name_does_not_change_who_is_asked(self, with_factor: User, prefix: str, path: str) -> None:
        browser = Client()
        browser.force_login(with_factor)
        answer = browser.get(path, SCRIPT_NAME=prefix)
        assert answer.status_code == 302
        assert "/second-factor/" in answer.headers["Location"]

    def test_every_admin_page_asks(self, with_factor: User) -> None:
        from tests.security.inventory import admin_paths

        browser = Client()
        browser.force_login(with_factor)
        open_to_all = {"/admin/login/", "/admin/logout/", "/admin/jsi18n/"}
        for path in admin_paths():
            answer = browser.get(path)
            if path not in open_to_all:
                assert answer.headers.get("Location", "").startswith("/second-factor/"), path


@pytest.mark.django_db
class TestTheApi:
    def test_a_password_alone_does_not_log_in(self, anyone: APIClient, with_factor: User) -> None:
        answer = log_in(anyone, with_factor)
        assert (answer.status_code, answer.json()["error"]) == (401, "Second factor required")
        assert "otp" in answer.json()["fields"]
        form = {"username": with_factor.username, "password": PASSWORD}
        assert anyone.post("/api/v2/auth/login/form", form, format=None).status_code in {400, 401, 415}
        assert not LoginSession.objects.exists()

    def test_a_wrong_password_does_not_tell_that_there_is_a_factor(self, anyone: APIClient, with_factor: User) -> None:
        body = {"username": with_factor.username, "password": "wrong"}
        assert anyone.post("/api/v2/auth/login", body).json()["error"] == "Invalid email/username or password"

    def test_the_code_logs_in_once(self, anyone: APIClient, with_factor: User) -> None:
        code = code_of(with_factor, ahead=1)
        assert log_in(anyone, with_factor, otp=code).status_code == 200
        assert log_in(anyone, with_factor, otp=code).json()["error"] == "Invalid second factor"

    @pytest.mark.parametrize("otp", ["", 0, 123456, [], {}, None, "000000", "x" * 100_000, "\x00", "１２３４５６"])
    def test_anything_else_is_refused(self, anyone: APIClient, with_factor: User, otp: Any) -> None:
        assert log_in(anyone, with_factor, otp=otp).status_code in {400, 401}

    def test_wrong_codes_count_as_failed_logins(self, anyone: APIClient, with_factor: User) -> None:
        answers = [log_in(anyone, with_factor, otp="000000").status_code for _number in range(12)]
        assert answers[-1] == 429

    def test_required_means_that_no_account_enters_by_its_password(
        self, anyone: APIClient, admin: User, user: User, settings: Any
    ) -> None:
        settings.SECOND_FACTOR = "required"
        answer = log_in(anyone, admin)
        assert answer.json()["error"] == "Second factor required"
        assert "/second-factor/" in answer.json()["message"]
        # An account that cannot enter the admin has no page to set one up, and no rights of an admin.
        assert log_in(anyone, user).status_code == 200

    def test_logins_of_before_end_when_it_becomes_required(
        self, client_of: Callable[[User], APIClient], admin: User, settings: Any
    ) -> None:
        client = client_of(admin)
        assert client.get("/api/v2/auth/me").status_code == 200
        settings.SECOND_FACTOR = "required"
        assert client.get("/api/v2/auth/me").status_code == 401
        assert client.post("/api/v2/auth/register", {}).status_code == 401

    def test_api_tokens_of_before_give_no_rights_where_it_is_required(self, admin: User, settings: Any) -> None:
        token, raw = api_tokens.make(admin, "ci", "write")
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        assert client.get("/api/v2/auth/users").status_code == 200
        settings.SECOND_FACTOR = "required"
        answer = client.get("/api/v2/auth/users")
        assert (answer.status_code, answer.json()["error"]) == (401, "Second factor required")
        devices.confirm(devices.draft(admin), code_of(admin))
        assert client.get("/api/v2/auth/users").status_code == 401
        assert ChangeRecord.objects.filter(kind="token revoked", subject_id=token.pk).count() == 1
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_tokens.make(admin, 'new', 'read')[1]}")
        assert client.get("/api/v2/auth/users").status_code == 200

    def test_logins_of_before_end_when_a_factor_is_set_up(
        self, client_of: Callable[[User], APIClient], admin: User
    ) -> None:
        client = client_of(admin)
        devices.confirm(devices.draft(admin), code_of(admin))
        assert client.get("/api/v2/auth/me").status_code == 401

    def test_a_login_without_a_code_is_none_with_one(self, anyone: APIClient, with_factor: User, settings: Any) -> None:
        settings.SECOND_FACTOR = "off"
        token = log_in(anyone, with_factor).json()["access_token"]
        settings.SECOND_FACTOR = "required"
        anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert anyone.get("/api/v2/auth/me").status_code == 401


@pytest.mark.django_db
class TestGuesses:
    """Of codes, by somebody who has the password and many addresses."""

    @pytest.fixture(autouse=True)
    def _few(self, settings: Any) -> None:
        settings.LOGIN_FAILURES_ALLOWED = 3

    def guess(self, user: User, address: str, otp: str = "000000") -> int:
        return log_in(APIClient(REMOTE_ADDR=address), user, otp=otp).status_code

    def test_a_day_has_few(self, with_factor: User) -> None:
        checked = 0
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for minute in range(24 * 60):
                address = f"203.0.{minute // 200}.{minute % 200}"
                checked += self.guess(with_factor, address) == 401
                clock.shift(60)
        assert 3 + 6 + 20 <= checked <= 50
        assert ChangeRecord.objects.filter(kind="login limit reached", subject_id=with_factor.pk).count() == 1

    def test_the_owner_gets_in_with_a_backup_code_or_from_where_they_are(self, admin: User) -> None:
        codes = devices.confirm(devices.draft(admin), code_of(admin))
        with time_machine.travel(timezone.now(), tick=False) as clock:
            clock.shift(30)
            assert self.guess(admin, "192.0.2.1", code_of(admin)) == 200
            for number in range(12):
                self.guess(admin, f"203.0.113.{number}")
            code = code_of(admin, ahead=1)
            assert self.guess(admin, "192.0.2.77", code) == 429
            assert self.guess(admin, "192.0.2.77", codes[0]) == 200
            assert self.guess(admin, "192.0.2.1", code) == 200

    def test_the_password_alone_is_no_exemption(self, with_factor: User) -> None:
        """A session of the admin that has shown no code does not make its address one of the owner's."""
        browser = Client(REMOTE_ADDR="203.0.113.1")
        form = {"username": with_factor.username, "password": PASSWORD, "next": "/admin/"}
        assert browser.post("/admin/login/", form).status_code == 302
        answers = [browser.post("/second-factor/", {"code": "000000"}) for _number in range(5)]
        assert [one.status_code for one in answers] == [400, 400, 400, 429, 429]
        assert "Too many wrong codes" in answers[-1].content.decode()
        for number in range(5):
            self.guess(with_factor, f"203.0.113.{10 + number}")
        assert self.guess(with_factor, "203.0.113.1", code_of(with_factor, ahead=1)) == 429

    def test_a_right_code_leaves_no_delay_and_no_note_behind(self, admin: User) -> None:
        devices.confirm(devices.draft(admin), code_of(admin))
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for number in range(2):
                assert self.guess(admin, f"203.0.113.{number}") == 401
            clock.shift(30)
            assert self.guess(admin, "192.0.2.1", code_of(admin)) == 200
            clock.shift(30)
            assert self.guess(admin, "192.0.2.2", code_of(admin)) == 200
        assert not ChangeRecord.objects.filter(kind="login limit reached").exists()

    def test_backup_codes_are_counted_apart(self, admin: User) -> None:
        """Also where everybody has the address of a proxy that the settings do not name."""
        codes = devices.confirm(devices.draft(admin), code_of(admin))
        proxied = APIClient(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9")
        answers = [log_in(proxied, admin, otp="000000").status_code for _number in range(8)]
        assert set(answers) == {401, 429}
        LoginFailures.objects.filter(identity=admin.username).delete()
        assert log_in(proxied, admin, otp=codes[0]).status_code == 200

    def test_no_typed_name_counts_for_somebodys_codes(self, with_factor: User) -> None:
        for number in range(6):
            body = {"username": f"Codes of {with_factor.pk}", "password": "x"}
            APIClient(REMOTE_ADDR=f"203.0.113.{number}").post("/api/v2/auth/login", body)
        assert self.guess(with_factor, "198.51.100.1", code_of(with_factor, ahead=1)) == 200


@pytest.mark.django_db
class TestALostKey:
    @pytest.fixture(autouse=True)
    def _lost(self, with_factor: User, settings: Any) -> None:
        settings.CRONSCHED_ENCRYPTION_KEYS = ["lost" * 10]

    def test_its_page_says_so(self, with_factor: User) -> None:
        browser = Client()
        browser.force_login(with_factor)
        answer = browser.post("/second-factor/", {"code": "123456"})
        assert answer.status_code == 503
        assert b"cannot be opened" in answer.content

    def test_an_admin_removes_it(self, with_factor: User, make_user: Callable[..., User]) -> None:
        browser = Client()
        browser.force_login(make_user("other", "admin"))
        body = {"action": "remove_second_factor", "_selected_action": [str(with_factor.pk)]}
        assert browser.post("/admin/accounts/user/", body).status_code == 302
        assert not devices.has_one(with_factor)
