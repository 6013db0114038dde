"""The second factor of the admin: set up, asked for, removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import AppDevice, User
from tests.support.second_factor import code_of

PAGE = "/second-factor/"


@pytest.fixture
def client(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.mark.django_db
class TestSecondFactor:
    def set_up(self, client: Client, admin: User) -> list[str]:
        assert "data:image/svg+xml" in client.get(PAGE).content.decode()
        answer = client.post(PAGE, {"code": code_of(admin)})
        shown = answer.content.decode().partition("<pre")[2].partition("</pre>")[0]
        return re.findall(r"\b[a-z2-7]{8}\b", shown)

    def test_nobody_is_asked_who_has_none(self, client: Client, settings: Any) -> None:
        assert client.get("/admin/").status_code == 200
        settings.SECOND_FACTOR = "required"
        assert client.get("/admin/").headers["Location"] == "/second-factor/?next=/admin/"

    def test_it_is_asked_after_the_password(self, client: Client, admin: User) -> None:
        assert client.post(PAGE, {"code": "000000"}).status_code == 400
        AppDevice.objects.update(throttling_failure_count=0)
        backup = self.set_up(client, admin)
        assert len(backup) == 10
        assert client.get("/admin/").status_code == 200
        other = Client()
        other.force_login(admin)
        assert other.get("/admin/jobs/job/").headers["Location"].startswith(PAGE)
        refused = other.post(PAGE, {"code": "wrong-code"})
        assert refused.status_code == 400
        assert "not the code" in refused.content.decode()
        AppDevice.objects.update(throttling_failure_count=0)
        from django_otp.plugins.otp_static.models import StaticDevice

        StaticDevice.objects.update(throttling_failure_count=0)
        assert (
            other.post(PAGE + "?next=/admin/jobs/job/", {"code": backup[0]}).headers["Location"] == "/admin/jobs/job/"
        )
        assert other.get("/admin/jobs/job/").status_code == 200
        third = Client()
        third.force_login(admin)
        assert third.post(PAGE, {"code": backup[0]}).status_code == 400
        StaticDevice.objects.update(throttling_failure_count=0)
        assert (
            third.post(PAGE + "?next=https://evil.example/", {"code": code_of(admin, ahead=1)}).headers["Location"]
            == "/admin/"
        )

    def test_it_is_removed_with_a_code_or_by_an_admin(
        self, client: Client, admin: User, make_user: Callable[..., User]
    ) -> None:
        self.set_up(client, admin)
        assert client.post(PAGE, {"code": code_of(admin, ahead=1), "remove": "1"}).status_code == 302
        assert not AppDevice.objects.exists()
        lost = make_user("lost", "admin")
        AppDevice.objects.create(user=lost, name="app")
        body = {"action": "remove_second_factor", "_selected_action": [str(lost.pk)]}
        assert client.post("/admin/accounts/user/", body).status_code == 302
        assert not AppDevice.objects.exists()

    def test_strangers_are_sent_to_the_login(self) -> None:
        assert Client().get(PAGE).headers["Location"].startswith("/admin/login/")
