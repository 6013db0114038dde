"""`/api/v2/windows`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from audit.models import ChangeRecord
from taxonomy.models import PicTeam
from windows.models import Window

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 26, 1, 0, tzinfo=dt.UTC)
URL = "/api/v2/windows"


@pytest.fixture(autouse=True)
def _standing_still() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def test_a_window_is_opened_renewed_and_ended(api: APIClient, team: PicTeam, admin: User) -> None:
    body = {"name": "Release", "reason": "4.2", "teams": ["QA Team"], "ends_at": "2026-11-26T18:00:00+09:00"}
    answer = api.post(URL, body, format="json")
    assert answer.status_code == 201
    window = answer.json()["window"]
    assert (window["teams"], window["ends_at"], window["is_open"]) == (["qa-team"], "2026-11-26T09:00:00.000Z", True)
    assert window["made_by"] == admin.email
    one = f"{URL}/{window['id']}"
    renewed = api.put(one, {"ends_at": "2026-11-27T18:00:00+09:00"}, format="json").json()["window"]
    assert (renewed["ends_at"], renewed["teams"]) == ("2026-11-27T09:00:00.000Z", ["qa-team"])
    assert [found["name"] for found in api.get(URL).json()["windows"]] == ["Release"]
    with time_machine.travel(NOW + dt.timedelta(hours=1), tick=False):
        assert api.delete(one).status_code == 200
        assert api.get(URL).json()["windows"] == []
        assert len(api.get(f"{URL}?include_past=1").json()["windows"]) == 1
        assert api.delete(one).json()["error"] == "Window is over"
    assert ChangeRecord.objects.filter(subject="window").count() == 4


def test_every_wrong_field_is_named(api: APIClient) -> None:
    body = {"name": "", "effect": "stop", "ends_at": "soon", "minutes": 3}
    assert set(api.post(URL, body, format="json").json()["fields"]) >= {"name", "effect", "ends_at", "minutes"}


def test_a_reason_may_be_taken_away_and_a_name_may_not(api: APIClient) -> None:
    ends = timezone.now() + dt.timedelta(days=1)
    body = {"name": "Freeze", "reason": "wrong", "is_for_all": True, "ends_at": ends.isoformat()}
    one = f"{URL}/{api.post(URL, body, format='json').json()['window']['id']}"
    assert api.put(one, {"reason": ""}, format="json").json()["window"]["reason"] is None
    refused = api.put(one, {"name": ""}, format="json")
    assert (refused.status_code, set(refused.json()["fields"])) == (400, {"name"})


def test_everybody_reads_and_admins_open(client_of: Any, user: User) -> None:
    client = client_of(user)
    assert client.get(URL).status_code == 200
    assert client.post(URL, {"name": "X", "is_for_all": True}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "name", "Is required."),
        ({"name": "X"}, "is_for_all", "Say which jobs"),
        ({"name": "X", "is_for_all": True}, "ends_at", "needs an end"),
        ({"name": "X", "is_for_all": True, "ends_at": "2026-12-20T00:00:00Z"}, "ends_at", "at most 14 days"),
        (
            {"name": "X", "is_for_all": True, "ends_at": "2026-11-27T00:00:00Z", "hosts": ["x.jp"]},
            "is_for_all", "not both",
        ),
        ({"name": "X", "teams": ["qa-team"], "ends_at": "2026-11-26T00:00:00Z"}, "ends_at", "before it begins"),
        (
            {"name": "X", "teams": ["qa-team"], "starts_at": "2026-11-20T00:00:00Z", "ends_at": "2026-11-21T00:00:00Z"},
            "ends_at", "passed already",
        ),
        ({"name": "X", "teams": ["nobody"]}, "teams", "Unknown: 'nobody'"),
        ({"name": "X", "jobs": ["1"]}, "jobs", "There is no job"),
        ({"name": "X", "teams": "qa-team"}, "teams", "Send a list"),
        ({"name": "X", "hosts": ["x y"]}, "hosts", "hooks.example.com"),
        ({"name": "X", "hosts": ["https:///y"]}, "hosts", "hooks.example.com"),
        ({"name": "X", "repositories": ["https://github.com/acme"]}, "repositories", "owner/repository"),
        ({"name": " ", "is_for_all": True}, "name", "Write a name"),
        ({"name": "X", "repositories": ["web"]}, "repositories", "owner/repository"),
        ({"name": "X", "teams": ["qa-team"], "effect": "stop"}, "effect", "must be one of"),
        ({"name": "X", "teams": ["qa-team"], "ends_at": "soon"}, "ends_at", "must be a datetime"),
        ({"name": "X", "teams": ["qa-team"], "cron_expression": "0 0 * * *"}, "minutes", "1 to 10080"),
        (
            {"name": "X", "hosts": ["x.jp"], "cron_expression": "0 0 LB * *", "minutes": 5},
            "cron_expression", "calendar",
        ),
    ],
)  # fmt: skip
def test_bad_windows(api: APIClient, team: PicTeam, body: dict[str, Any], field: str, reason: str) -> None:
    answer = api.post(URL, body, format="json")
    assert answer.status_code == 400
    assert reason in answer.json()["fields"][field][0]
    assert not Window.objects.exists()


def test_a_run_by_the_api_inside_a_window_needs_force(api: APIClient, make_job: Any, handed: Any) -> None:
    job = make_job()
    api.post(URL, {"name": "Freeze", "is_for_all": True, "ends_at": "2026-11-27T00:00:00Z"}, format="json")
    refused = api.post(f"/api/v2/jobs/{job.pk}/execute", {}, format="json")
    assert (refused.status_code, refused.json()["error"]) == (409, "Window open")
    assert api.post(f"/api/v2/jobs/{job.pk}/execute", {"force": "yes"}, format="json").status_code == 400
    assert api.post(f"/api/v2/jobs/{job.pk}/execute", {"force": True}, format="json").status_code in {200, 201, 202}


def test_a_new_length_keeps_the_recurrence(api: APIClient, team: PicTeam) -> None:
    body = {"name": "Weekly", "teams": ["qa-team"], "cron_expression": "0 2 * * 0", "minutes": 120}
    one = f"{URL}/{api.post(URL, body, format='json').json()['window']['id']}"
    changed = api.put(one, {"minutes": 90}, format="json").json()["window"]
    assert (changed["cron_expression"], changed["minutes"], changed["is_open"]) == ("0 2 * * 0", 90, False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"minutes": 90}, "minutes"),
        ({"ends_at": "9999-12-31T23:59:59Z"}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59:59-05:00"}, "ends_at"),
        ({"starts_at": "0001-01-01T00:00+09:00"}, "starts_at"),
    ],
)
def test_what_no_window_can_be(api: APIClient, team: PicTeam, body: dict[str, Any], field: str) -> None:
    answer = api.post(URL, {"name": "X", "teams": ["qa-team"], **body}, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["fields"]
    assert not Window.objects.exists()


def test_the_audit_trail_names_the_scope(api: APIClient, team: PicTeam, make_job: Any) -> None:
    job = make_job(name="Nightly")
    body = {"name": "Release", "teams": [team.slug], "ends_at": "2099-01-01T00:00:00Z"}
    window = api.post("/api/v2/windows", body, format="json").json()["window"]
    api.put(f"/api/v2/windows/{window['id']}", {"teams": [], "jobs": [str(job.pk)]}, format="json")
    records = ChangeRecord.objects.filter(subject_id=window["id"]).order_by("at", "id")
    told = [one.difference for one in records]
    assert {"teams": [[], ["QA Team"]]} in told
    assert {"teams": [["QA Team"], []]} in told
    assert {"jobs": [[], ["Nightly"]]} in told


@pytest.mark.parametrize(
    ("field", "written", "kept"),
    [
        ("hosts", "https://Hooks.Example.com:8443/a?b=c", "hooks.example.com"),
        ("hosts", "127.0.0.1:5071", "127.0.0.1"),
        ("hosts", "[::1]:80", "::1"),
        ("repositories", "https://github.com/Acme/Shop/", "acme/shop"),
        ("repositories", "acme/shop.js", "acme/shop.js"),
    ],
)
def test_an_address_is_read_as_what_it_names(api: APIClient, field: str, written: str, kept: str) -> None:
    answer = api.post("/api/v2/windows", {"name": "X", field: [written]}, format="json")
    assert (answer.status_code, answer.json()["window"][field]) == (201, [kept])


def test_a_window_keeps_a_scope(api: APIClient) -> None:
    pk = api.post("/api/v2/windows", {"name": "X", "hosts": ["x.jp"]}, format="json").json()["window"]["id"]
    answer = api.put(f"/api/v2/windows/{pk}", {"hosts": []}, format="json")
    assert (answer.status_code, "Say which jobs" in answer.json()["message"]) == (400, True)
    assert api.put(f"/api/v2/windows/{pk}", {"hosts": [], "repositories": ["a/b"]}, format="json").status_code == 200
    unknown = api.put(f"/api/v2/windows/{pk}", {"jobs": ["nowhere"]}, format="json").json()
    assert list(unknown["fields"]) == ["jobs"]
