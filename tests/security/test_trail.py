"""What the audit trail says about attempts, and that it says no secret."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import LoginSession, User
from audit import retention
from audit.events import SUBJECT
from audit.models import ChangeRecord
from executions import services, trials
from jobs.models import Job
from tests.conftest import PASSWORD
from tests.support.target import Target

pytestmark = pytest.mark.django_db


def kinds() -> list[str]:
    return list(ChangeRecord.objects.filter(subject=SUBJECT).order_by("id").values_list("kind", flat=True))


def test_logins_of_the_api(user: User) -> None:
    client = APIClient()
    client.post("/api/v2/auth/login", {"username": "uma", "password": "wrong"})
    client.post("/api/v2/auth/login", {"username": "hunter2-in-the-wrong-field", "password": "wrong"})
    token = client.post("/api/v2/auth/login", {"username": "uma", "password": PASSWORD}).json()["access_token"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    client.post("/api/v2/auth/logout")
    assert kinds() == ["login failed", "login failed", "login", "logout"]
    known, unknown, login, _ = ChangeRecord.objects.filter(subject=SUBJECT).order_by("id")
    assert (known.name, known.subject_id, str(known.address)) == ("uma", user.pk, "127.0.0.1")
    assert unknown.name == "(unknown account)"
    assert (login.by, login.difference) == (user, {"way": [None, "API"]})
    assert "hunter2" not in str(list(ChangeRecord.objects.values_list()))


def test_logins_of_the_admin(admin: User) -> None:
    browser = Client()
    browser.post("/admin/login/", {"username": "ada", "password": "wrong"})
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    browser.post("/admin/logout/")
    assert kinds() == ["login failed", "login", "logout"]


def test_tokens_and_ended_logins(api: APIClient, browser: Client, admin: User) -> None:
    made = api.post("/api/v2/auth/tokens", {"name": "ci", "scope": "write"}).json()
    api.delete(f"/api/v2/auth/tokens/{made['details']['id']}")
    login = LoginSession.objects.get()
    browser.post(f"/admin/accounts/loginsession/{login.pk}/delete/", {"post": "yes"})
    assert kinds()[-3:] == ["token made", "token revoked", "login ended"]
    assert made["token"] not in str(list(ChangeRecord.objects.values_list()))


@pytest.mark.django_db(transaction=True)
def test_test_runs_exports_and_checks(
    api: APIClient, browser: Client, target: Target, make_job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job()
    with caplog.at_level(logging.INFO, "cronsched.audit"):
        answer = api.post("/api/v2/jobs/test-run", {"target_url": f"{target.url}/ok?token=QUERYSECRET"})
    assert answer.json()["ok"] is True
    browser.post("/admin/jobs/job/", {"action": "export_csv", "_selected_action": [str(job.pk)]})
    assert kinds()[-2:] == ["test run", "exported"]
    record = ChangeRecord.objects.get(kind="test run")
    assert record.by_email == "ada@example.com"
    assert target.url in record.name
    assert "QUERYSECRET" not in str(list(ChangeRecord.objects.values_list())) + caplog.text
    assert caplog.records[-1].event == "test run"  # type: ignore[attr-defined]


class TestTestRuns:
    def test_one_at_a_time_for_a_user_and_few_in_all(
        self,
        api: APIClient,
        client_of: Callable[[User], APIClient],
        user: User,
        admin: User,
        target: Target,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        under_way = trials.try_target({"target_url": f"{target.url}/sleep?s=25"}, by=admin)
        target.wait_for(1)
        body = {"target_url": f"{target.url}/ok"}
        answer = api.post("/api/v2/jobs/test-run", body)
        assert (answer.status_code, answer.json()["error"]) == (429, "Too many test runs")
        assert int(answer.headers["Retry-After"]) >= 1
        others = client_of(user)
        assert others.post("/api/v2/jobs/test-run", body).json()["ok"] is True
        monkeypatch.setattr(trials, "_AT_ONCE", 1)
        assert others.post("/api/v2/jobs/test-run", body).status_code == 429
        target.released.set()
        assert under_way.result(10).answer["ok"] is True
        assert api.post("/api/v2/jobs/test-run", body).json()["ok"] is True

    def test_open_runs_by_hand_have_a_limit(
        self, api: APIClient, make_job: Callable[..., Job], handed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "_MOST_OPEN", 2)
        job = make_job()
        answers = [api.post(f"/api/v2/jobs/{job.pk}/execute", {}).status_code for _number in range(3)]
        assert answers == [200, 200, 429]


class TestTheApi:
    URL = "/api/v2/audit"

    def lines(self, answer: Any) -> list[dict[str, Any]]:
        # Records of the last minute are left out: slow transactions may still add some before them.
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]

    def test_it_continues_after_a_record(self, api: APIClient, make_job: Callable[..., Job]) -> None:
        for number in range(5):
            make_job(name=f"job {number}")
        assert self.lines(api.get(self.URL)) == []
        ChangeRecord.objects.update(at=timezone.now() - dt.timedelta(minutes=2))
        everything = self.lines(api.get(self.URL))
        first = self.lines(api.get(self.URL, {"limit": 2}))
        rest = self.lines(api.get(self.URL, {"after": first[-1]["id"]}))
        assert first + rest == everything
        assert [one["name"] for one in everything if one["subject"] == "job"] == [f"job {n}" for n in range(5)]
        tomorrow = (timezone.now() + dt.timedelta(days=1)).isoformat()
        assert self.lines(api.get(self.URL, {"since": tomorrow})) == []

    def test_only_admins_read_it(self, client_of: Callable[[User], APIClient], user: User, viewer: User) -> None:
        assert client_of(user).get(self.URL).status_code == 403
        assert client_of(viewer).get(self.URL).status_code == 403
        assert APIClient().get(self.URL).status_code == 401

    @pytest.mark.parametrize(
        "query",
        [
            {"after": "x"},
            {"since": "x"},
            {"since": "2026-01-01"},
            {"limit": "0"},
            {"since": "0001-01-01T00:00:00+14:00"},
            {"since": "9999-12-31T23:59:59-14:00"},
        ],
    )
    def test_odd_queries(self, api: APIClient, query: dict[str, str]) -> None:
        assert api.get(self.URL, query).status_code == 400


def test_old_records_are_deleted(make_job: Callable[..., Job], settings: Any) -> None:
    make_job()
    ChangeRecord.objects.update(at=timezone.now() - dt.timedelta(days=731))
    settings.AUDIT_KEPT_DAYS = 0
    assert retention.delete_old() == 0
    settings.AUDIT_KEPT_DAYS = 730
    assert retention.delete_old() > 0
    assert not ChangeRecord.objects.exists()


def test_what_is_refused_is_logged(
    client_of: Callable[[User], APIClient], make_user: Callable[..., User], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(make_user("vera", "viewer"))
    with caplog.at_level("INFO", "cronsched.audit"):
        assert client.get("/api/v2/auth/users").status_code == 403
        assert client.post("/api/v2/callbacks/forged.token", {}).status_code in {403, 404}
    told = [
        (one.getMessage(), getattr(one, "by", "")) for one in caplog.records if getattr(one, "event", "") == "refused"
    ]
    assert told[0] == ("refused: GET /api/v2/auth/users", "vera@example.com")
    assert "forged" not in caplog.text
