"""What one page masks, every other way of reading masks as well."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from core.masking import MASK, masked, masked_body, masked_text, masked_url
from executions.models import Execution, Status
from jobs.models import Job

pytestmark = pytest.mark.django_db
SECRETS = ("p4ss", "QUERYSECRET", "METASECRET", "supersecret")
URL = "https://u:p4ss@hooks.example.com/fail?token=QUERYSECRET"


@pytest.fixture
def job(make_job: Callable[..., Job], user: User) -> Job:
    return make_job(by=user, target_url=URL, metadata={"api_key": "METASECRET", "report": "daily"})


@pytest.fixture
def execution(job: Job) -> Execution:
    now = timezone.now()
    return Execution.objects.create(
        job=job, status=Status.FAILED, target=URL, execution_type="webhook", started_at=now, completed_at=now,
        output='{"token": "supersecret"} token=supersecret', error_message="it said token=supersecret",
    )  # fmt: skip


def ways(client: APIClient, job: Job, execution: Execution) -> dict[str, str]:
    paths = [
        "/jobs", "/jobs?page=1", f"/jobs/{job.pk}", "/executions", f"/executions/{execution.pk}",
        f"/jobs/{job.pk}/executions", f"/jobs/{job.pk}/executions/{execution.pk}",
        f"/jobs/{job.pk}/executions/statistics",
    ]  # fmt: skip
    return {path: client.get(f"/api/v2{path}").content.decode() for path in paths}


class TestTheApi:
    @pytest.mark.parametrize("role", ["viewer", "user"])
    def test_others_see_no_secret(
        self, client_of: Callable[[User], APIClient], make_user: Callable[..., User], role: str, job: Job,
        execution: Execution,
    ) -> None:  # fmt: skip
        for path, text in ways(client_of(make_user("other", role)), job, execution).items():
            assert not [secret for secret in SECRETS if secret in text], path
        shown = client_of(make_user("third", role)).get(f"/api/v2/jobs/{job.pk}").json()["job"]
        assert shown["metadata"] == {"api_key": MASK, "report": "daily"}
        assert shown["target_url"] == f"https://hooks.example.com/fail?token={MASK}"

    def test_its_owner_and_admins_see_what_they_wrote(
        self, client_of: Callable[[User], APIClient], user: User, admin: User, job: Job, execution: Execution
    ) -> None:
        for person in (user, admin):
            found = " ".join(ways(client_of(person), job, execution).values())
            assert all(secret in found for secret in SECRETS)


class TestTheAdmin:
    @pytest.fixture
    def vera(self, browser_of: Callable[[User], Client], make_user: Callable[..., User]) -> Client:
        return browser_of(make_user("vera", "viewer", admin_access=True))

    def test_pages_and_exports(self, vera: Client, job: Job, execution: Execution) -> None:
        pages = [
            "/admin/jobs/job/", f"/admin/jobs/job/{job.pk}/change/", f"/admin/jobs/job/{job.pk}/history/", "/admin/",
            "/admin/executions/execution/", f"/admin/executions/execution/{execution.pk}/change/", "/admin/calendar/",
            "/admin/audit/changerecord/",
        ]  # fmt: skip
        for page in pages:
            answer = vera.get(page)
            assert answer.status_code == 200, page
            assert not [secret for secret in SECRETS if secret in answer.content.decode()], page
        for action in ("export_csv", "export_json"):
            answer = vera.post("/admin/jobs/job/", {"action": action, "_selected_action": [str(job.pk)]})
            text = answer.content.decode()
            assert "hooks.example.com" in text
            assert not [secret for secret in SECRETS if secret in text], action
        assert Job.objects.get().metadata["api_key"] == "METASECRET"

    def test_the_owners_form_holds_what_is_stored(
        self, browser_of: Callable[[User], Client], user: User, job: Job
    ) -> None:
        User.objects.filter(pk=user.pk).update(admin_access=True)
        user.refresh_from_db()
        assert "METASECRET" in browser_of(user).get(f"/admin/jobs/job/{job.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hook", "https://example.com/hook"),
        ("https://u:p@example.com:8443/a/b?x=1&y=2#t", f"https://example.com:8443/a/b?x={MASK}&y={MASK}#{MASK}"),
        ("https://hooks.slack.com/services/T0/B0/Xy12", f"https://hooks.slack.com/services/{MASK}"),
        ("https://discord.com/api/webhooks/1/aB3_xYz9876543210abcdefXYZ", f"https://discord.com/api/webhooks/1/{MASK}"),
        ("https://example.com/nightly-report-of-the-quality-team", "https://example.com/nightly-report-of-the-quality-team"),
        ("https://example.com/9b2f8a64-0c8e-4c59-8d7e-2f5d1c0a9e11", "https://example.com/9b2f8a64-0c8e-4c59-8d7e-2f5d1c0a9e11"),
        ("http://[::1", "http://[::1"), ("", ""), ("no url", "no url"),
        ("https://a@b@example.com/", "https://example.com/"),
    ],
)  # fmt: skip
def test_urls(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.DEF-9", f"Authorization: {MASK}"),
        ("authorization=Basic dXNlcjpwYXNz, next\nlast", f"authorization={MASK}\nlast"),
        ('Authorization: Digest username="u", response="beef"', f"Authorization: {MASK}"),
        ("Proxy-Authorization: ApiKey abc123", f"Proxy-Authorization: {MASK}"),
        ("Authorization: abc123, next", f"Authorization: {MASK}, next"),
        ("see https://uma:p@ss@host/x", f"see https://{MASK}@host/x"),
        ('{"token": "abc"} and more', f'{{"token": {MASK}}} and more'),
        ("no answer from https://uma:PW@hooks.example.com/a", f"no answer from https://{MASK}@hooks.example.com/a"),
        ("ask ops@example.com, see https://example.com/a@b", "ask ops@example.com, see https://example.com/a@b"),
        ("Bearer of the token", "Bearer of the token"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert masked_text(text) == shown


def test_masking_is_quick(job: Job, viewer: User, client_of: Any) -> None:
    for url in (
        "https://e.com/" + "a1-" * 600,
        "https://e.com/" + "/services/" * 200,
        "https://e.com/?" + "a=b&" * 500,
    ):
        assert len(masked_url(url)) < 5000
    assert json.loads(client_of(viewer).get("/api/v2/jobs").content)["count"] == 1


class TestNobodyAsksForLetters:
    def test_a_search_does_not_read_urls_of_others(
        self, client_of: Callable[[User], APIClient], viewer: User, user: User, admin: User, job: Job,
        browser_of: Callable[[User], Client],
    ) -> None:  # fmt: skip
        def found(person: User, text: str) -> int:
            return int(client_of(person).get("/api/v2/jobs", {"search": text}).json()["count"])

        assert (found(viewer, "QUERYSEC"), found(viewer, "Nightly")) == (0, 1)
        assert (found(user, "QUERYSEC"), found(admin, "QUERYSEC")) == (1, 1)
        User.objects.filter(pk=viewer.pk).update(admin_access=True)
        viewer.refresh_from_db()
        page = browser_of(viewer).get("/admin/jobs/job/", {"q": "QUERYSEC"})
        assert b"Nightly" not in page.content
        assert b"Nightly" in browser_of(admin).get("/admin/jobs/job/", {"q": "QUERYSEC"}).content

    def test_a_copy_brings_no_secret(
        self, make_user: Callable[..., User], browser_of: Callable[[User], Client], job: Job, admin: User
    ) -> None:
        page = "/admin/jobs/job/add/"
        other = browser_of(make_user("other", admin_access=True)).get(page, {"duplicate": str(job.pk)})
        assert other.status_code == 200
        assert not [one for one in (*SECRETS, MASK) if one in other.content.decode()]
        assert b"METASECRET" in browser_of(admin).get(page, {"duplicate": str(job.pk)}).content

    def test_a_list_of_one_reader_is_not_that_of_another(
        self, client_of: Callable[[User], APIClient], viewer: User, api: APIClient, job: Job
    ) -> None:
        etag = api.get("/api/v2/jobs").headers["ETag"]
        assert api.get("/api/v2/jobs", HTTP_IF_NONE_MATCH=etag).status_code == 304
        assert client_of(viewer).get("/api/v2/jobs", HTTP_IF_NONE_MATCH=etag).status_code == 200

    def test_a_target_that_is_no_url_stays_null(
        self, client_of: Callable[[User], APIClient], viewer: User, make_job: Callable[..., Job]
    ) -> None:
        job = make_job(name="g", github_owner="o", github_repo="r", github_workflow_name="w.yml")
        assert client_of(viewer).get(f"/api/v2/jobs/{job.pk}").json()["job"]["target_url"] is None


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"body": json.dumps({"api_key": "s3cret-value", "n": 1})}),
        json.dumps({"body": json.dumps({"in": json.dumps([{"password": "s3cret-value"}])})}),
        json.dumps({"body": json.dumps({"api_key": "s3cret-value"})})[:-3],
        'echo: {\\"token\\": \\"s3cret-value\\", \\"n\\": 1}',
        "echo: " + json.dumps(json.dumps({"token": 'ab"s3cret-rest\n s3cret', "n": 1})),
        "echo: " + json.dumps(json.dumps({"token": "ab\\\\s3cret-rest", "n": 1})),
        json.dumps({"body": json.dumps(json.dumps({"password": "s3cret-value"}))}),
    ],
)
def test_what_a_receiver_echoes_as_text_is_masked(text: str) -> None:
    shown = masked_body(text)
    assert "s3cret" not in shown
    assert MASK in shown


def test_a_text_without_secrets_stays_as_it_is() -> None:
    value = {"payload": '{ "a":1 }', "list": "[1,  2]", "odd": "{not json"}
    assert masked(value) == value


def test_odd_letters_in_what_is_echoed_can_be_answered() -> None:
    shown = masked({"body": '{"password": "x", "odd": "\\ud800"}'})
    assert json.dumps(shown, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ['{"token' * 6000, 'token: \\"' + "\\" * 60_000, '\\"token\\": \\"' + "a\\" * 30_000])
def test_masking_takes_time_by_the_length(text: str) -> None:
    began = time.perf_counter()
    masked_body(text)
    assert time.perf_counter() - began < 2
