"""Requests through proxies, and probes of container platforms."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth import login_throttle
from accounts.models import LoginFailures, LoginSession, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
PROXIES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8::/32")]


def log_in(name: str, password: str, peer: str, forwarded: str = "", **more: Any) -> int:
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    body = {"username": name, "password": password}
    answer = APIClient().post("/api/v2/auth/login", body, REMOTE_ADDR=peer, **headers, **more)
    return int(answer.status_code)


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        # What the client wrote itself stands further left.
        ("10.1.2.3", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::5", "[2001:4860::1]:443", "2001:4860::1"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        # A peer that is no proxy of ours may write what it likes.
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy(
    settings: Any, admin: User, peer: str, forwarded: str, seen: str
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    assert log_in("ada", PASSWORD, peer, forwarded) == 200
    assert str(LoginSession.objects.get().address) == seen


def test_without_trusted_proxies_no_header_is_believed(admin: User) -> None:
    assert log_in("ada", PASSWORD, "10.1.2.3", "203.0.113.9") == 200
    assert str(LoginSession.objects.get().address) == "10.1.2.3"


class TestThrottle:
    def test_both_names_of_an_account_count_together(self, admin: User) -> None:
        assert log_in("ada", "wrong", "203.0.113.9") == 401
        assert log_in("Ada@example.com", "wrong", "203.0.113.9") == 401
        assert log_in("ada", PASSWORD, "203.0.113.9") == 429
        assert log_in("ada@example.com", PASSWORD, "203.0.113.9") == 429

    def test_who_is_logged_in_to_the_admin_is_not_locked_out_from_there(self, admin: User) -> None:
        browser = Client(REMOTE_ADDR="203.0.113.9")
        form = {"username": "ada", "password": PASSWORD, "next": "/admin/"}
        assert browser.post("/admin/login/", form).status_code == 302
        for number in range(30):
            log_in("ada", "wrong", f"198.51.100.{number}")
        assert log_in("ada", PASSWORD, "203.0.113.50") == 429
        assert log_in("ada", PASSWORD, "203.0.113.9") == 200

    @pytest.fixture(autouse=True)
    def _few(self, settings: Any) -> None:
        settings.TRUSTED_PROXIES, settings.LOGIN_FAILURES_ALLOWED = PROXIES, 2

    def test_guesses_through_a_proxy_lock_nobody_else_out(self, admin: User) -> None:
        codes = [log_in("ada", "wrong", "10.0.0.1", "203.0.113.9") for _ in range(4)]
        assert codes == [401, 401, 429, 429]
        assert log_in("ada", PASSWORD, "10.0.0.1", "203.0.113.9") == 429
        assert log_in("ada", PASSWORD, "10.0.0.1", "198.51.100.1") == 200

    def test_one_address_cannot_try_every_name(self, admin: User) -> None:
        codes = [log_in(f"name {number}", "wrong", "203.0.113.9") for number in range(22)]
        assert codes.count(401) == 20
        assert log_in("ada", PASSWORD, "203.0.113.9") == 429

    def test_guesses_from_everywhere_are_spaced_and_spare_addresses_that_are_logged_in(self, admin: User) -> None:
        assert log_in("ada", PASSWORD, "192.0.2.1") == 200
        with time_machine.travel(timezone.now(), tick=False) as clock:
            codes = [log_in("ada", "wrong", f"203.0.113.{number}") for number in range(25)]
            assert codes.count(401) == 20
            assert log_in("ada", PASSWORD, "198.51.100.1") == 429
            clock.shift(2)
            assert log_in("ada", PASSWORD, "198.51.100.1") == 200
        assert log_in("ada", PASSWORD, "192.0.2.1") == 200

    def test_an_ipv6_subscriber_is_one_address(self, admin: User) -> None:
        codes = [log_in("ada", "wrong", f"2001:4860:1:2::{number:x}") for number in range(1, 5)]
        assert codes == [401, 401, 429, 429]

    def test_an_attempt_counts_before_its_password_is_checked(
        self, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted: list[int] = []

        def check(user: User, _password: str) -> bool:
            counted.append(LoginFailures.objects.get(identity="ada", address="203.0.113.9").count)
            return False

        monkeypatch.setattr(User, "check_password", check)
        assert [log_in("ada", "wrong", "203.0.113.9") for _ in range(2)] == [401, 401]
        assert counted == [1, 2]

    def test_the_right_password_takes_the_attempt_back(self, admin: User) -> None:
        for _ in range(30):
            assert log_in("ada", PASSWORD, "203.0.113.9") == 200


class TestProbes:
    @pytest.fixture(autouse=True)
    def _as_in_the_example(self, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["cron.example.com"]
        settings.SECURE_SSL_REDIRECT = True
        settings.METRICS_PUBLIC = True

    @pytest.mark.parametrize("path", ["/api/v2/health", "/metrics"])
    @pytest.mark.parametrize("host", ["127.0.0.1:5001", "10.42.0.7:5001", "web.cronsched.svc", "_bad_"])
    def test_every_host_name_and_plain_http(self, client: Client, path: str, host: str) -> None:
        answer = client.get(path, HTTP_HOST=host)
        assert answer.status_code == 200

    def test_nothing_else_answers_there(self, client: Client) -> None:
        assert client.get("/api/v2/jobs", HTTP_HOST="10.42.0.7").status_code == 400
        assert client.get("/api/v2/jobs", HTTP_HOST="cron.example.com").status_code == 301


def test_an_admin_list_shows_where_a_login_came_from(settings: Any, admin: User, browser: Client) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    log_in("ada", PASSWORD, "10.1.2.3", "203.0.113.9")
    assert "203.0.113.9" in browser.get("/admin/accounts/loginsession/").content.decode()


def test_counters_are_deleted_after_their_window(settings: Any, admin: User) -> None:
    log_in("ada", "wrong", "203.0.113.9")
    login_throttle.delete_old()
    assert LoginFailures.objects.exists()
    with time_machine.travel(timezone.now() + dt.timedelta(days=1, seconds=1)):
        login_throttle.delete_old()
    assert not LoginFailures.objects.exists()
