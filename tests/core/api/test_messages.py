"""Messages stand alone, and every wrong field is named at once."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from jobs.models import Job
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db


def test_every_wrong_field_of_a_new_job_is_named(api: APIClient, job_body: dict[str, Any]) -> None:
    body = {
        **job_body,
        "cron_expression": "61 * * * *",
        "category": "nowhere",
        "metadata": [],
        "enable_email_notifications": True,
        "notification_emails": ["none"],
        "end_date": "2001-01-01",
        "pic_team": "nobody",
        "target_url": "ftp://x",
        "max_attempts": 0,
        "start_date": "soon",
        "is_active": "yes",
    }
    answer = api.post("/api/v2/jobs", body)
    said = answer.json()
    assert (answer.status_code, said["error"]) == (400, "Invalid cron expression")
    assert said["message"].startswith("Invalid cron expression. 61 is out of range")
    assert set(said["fields"]) == {
        "cron_expression",
        "category",
        "metadata",
        "notification_emails",
        "end_date",
        "pic_team",
        "target_url",
        "max_attempts",
        "start_date",
        "is_active",
    }
    assert not Job.objects.exists()


def test_every_wrong_field_of_a_change_is_named(api: APIClient, make_job: Any) -> None:
    job = make_job()
    said = api.put(f"/api/v2/jobs/{job.pk}", {"name": "", "pic_team": "nobody", "jitter_seconds": -1}).json()
    assert said["error"] == "Job name cannot be empty"
    assert set(said["fields"]) == {"name", "pic_team", "jitter_seconds"}


def test_every_wrong_field_of_an_account_is_named(api: APIClient) -> None:
    body = {"username": "a b", "email": "none", "password": "x", "role": "king", "is_active": 1}
    said = api.post("/api/v2/auth/register", body).json()
    assert set(said["fields"]) == {"username", "email", "password", "role", "is_active"}


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("post", "/auth/login", {"username": "ada", "password": "x"}, "Invalid email/username or password. Check"),
        (
            "post",
            "/auth/register",
            {"username": "ADA", "email": "new@example.com", "password": "correct horse battery"},
            "Username already exists. Choose",
        ),
        (
            "post",
            "/auth/register",
            {"username": "new", "email": "ada@example.com", "password": "correct horse battery"},
            "Email already exists. Use",
        ),
        ("get", "/jobs/nothing", None, "Job not found. There is no job with the id 'nothing'."),
        ("get", "/nowhere", None, "Not found. There is nothing at this address."),
        ("post", "/jobs", {"name": "x"}, "Missing required fields. Send cron_expression, end_date."),
        ("get", "/jobs?is_active=maybe", None, "Invalid is_active. 'is_active' must be true or false."),
        ("get", "/notifications?unread_only=maybe", None, "Invalid unread_only."),
    ],
)
def test_a_message_begins_with_what_is_wrong(
    api: APIClient, method: str, path: str, body: dict[str, Any] | None, message: str
) -> None:
    answer = getattr(api, method)(f"/api/v2{path}", body)
    assert answer.json()["message"].startswith(message)


def test_words_of_the_contract_stay_exact(api: APIClient, job_body: dict[str, Any]) -> None:
    answer = api.post("/api/v2/jobs", "[]", content_type="application/json")
    assert answer.json()["message"] == "JSON body must be an object."
    said = api.post("/api/v2/jobs", {**job_body, "pic_team": "nobody"}).json()
    assert said["message"].startswith("Unknown PIC team. ")


def test_401_and_403_say_the_same_in_detail(client_of: Any, viewer: User, make_job: Any) -> None:
    for client in (APIClient(), client_of(viewer)):
        said = client.post("/api/v2/jobs", {}).json()
        assert said["detail"] == said["message"]


def test_an_end_date_before_the_stored_start_date_is_refused(api: APIClient, make_job: Any) -> None:
    job = make_job(start_date="2099-06-01", end_date="2099-12-31")
    answer = api.put(f"/api/v2/jobs/{job.pk}", {"end_date": "2099-05-31"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid end_date")
    assert "never fire" in answer.json()["message"]


class TestBulk:
    HEAD = "Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team\n"

    def upload(self, api: APIClient, rows: str, **form: str) -> Any:
        from django.core.files.uploadedfile import SimpleUploadedFile

        file = SimpleUploadedFile("jobs.csv", (self.HEAD + rows).encode(), "text/csv")
        return api.post("/api/v2/jobs/bulk-upload", {"file": file, **form}, format="multipart").json()

    def test_a_dry_run_counts_what_would_be_created(self, api: APIClient, team: PicTeam) -> None:
        rows = (
            "one,0 9 * * *,https://x.example.com,2099-01-01,qa-team\ntwo,bad,https://x.example.com,2099-01-01,qa-team\n"
        )
        said = self.upload(api, rows, dry_run="true")
        assert (said["created_count"], said["error_count"], Job.objects.count()) == (1, 1, 0)
        assert said["errors"][0]["message"].startswith("Invalid cron expression. ")

    def test_a_blank_end_date_is_missing(self, api: APIClient, team: PicTeam) -> None:
        said = self.upload(api, "one,0 9 * * *,https://x.example.com,,qa-team\n")
        assert said["errors"][0]["error"] == "Missing required fields"

    def test_an_unknown_team_has_the_slug_that_its_name_would_get(self, api: APIClient) -> None:
        error = self.upload(api, "one,0 9 * * *,https://x.example.com,2099-01-01,Ghost Crew\n")["errors"][0]
        assert (error["pic_team"], error["pic_team_slug"]) == ("Ghost Crew", "ghost-crew")
        assert error["message"].startswith("Unknown PIC team. ")
