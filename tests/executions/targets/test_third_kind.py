"""A kind of target is one class: a third one, registered here, works everywhere without a change to any other file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson
import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from core.findings import Finding
from cronsched.ops import doctor
from executions.http.client import Request
from executions.models import Execution, Status
from executions.targets import Call, Deliverable, DeliverableTarget, Outcome, Send
from jobs.content import Content
from jobs.field_traits import Column
from jobs.models import Job
from jobs.services import create_job
from jobs.targets import kinds
from jobs.targets.kinds import Target, TargetField
from jobs.transfer.columns import template_titles
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.target import Target as Server
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class TopicTarget(DeliverableTarget):
    """Publishes the metadata to a topic of a broker that speaks HTTP."""

    broker: ClassVar[str] = ""
    kind: ClassVar[str] = "topic"
    short_name: ClassVar[str] = "topic"
    label: ClassVar[Any] = "A topic"
    noun: ClassVar[Any] = "Topic"
    fields: ClassVar[tuple[TargetField, ...]] = (
        TargetField("topic_name", 50, Column("Topic", ("topic_name",)), column=False, label="Topic", help="Its name."),
    )
    repeatable: ClassVar[bool] = True

    topic_name: str

    def __str__(self) -> str:
        return f"topic:{self.topic_name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(text.removeprefix("topic:"))

    @classmethod
    def read(cls, data: Mapping[str, Any], *, default_owner: str) -> Self | None:
        name = kinds.text_of(data, cls.fields[0])
        return cls(name) if name else None

    def overridden(self, data: Mapping[str, Any]) -> Target:
        return self.read(data, default_owner="") or self

    def as_overrides(self) -> dict[str, str]:
        return self.values()

    @property
    def host(self) -> str:
        return self.broker.split("/", 3)[2]

    def delivery(self, content: Content, job: Job, *, token: str = "") -> Deliverable:
        return Publication(self, content.metadata)

    def trial(self, content: Content, job: Job) -> Deliverable:
        return Publication(self, content.metadata)

    def trial_message(self, outcome: Outcome) -> str:
        return outcome.error or "Published."

    def page(self) -> str:
        return f"https://broker.example.com/{self.topic_name}"

    @classmethod
    def findings(cls) -> Iterator[Finding]:
        yield Finding("topics", "note", f"{Job.objects.filter(target_kind=cls.kind).count()} jobs publish to topics")


@dataclass(frozen=True)
class Publication:
    """One message."""

    target: TopicTarget
    metadata: dict[str, Any]
    repeatable: ClassVar[bool] = True
    asks_first: ClassVar[bool] = False
    kind: ClassVar[str] = TopicTarget.kind

    async def deliver(self, send: Send, call: Call) -> Outcome:
        reply = await send(self.example(call))
        return Outcome(reply.status == 202, reply.status, reply.text, "" if reply.status == 202 else "not accepted")

    def example(self, call: Call) -> Request:
        url = f"{TopicTarget.broker}/topics/{self.target.topic_name}"
        return Request("POST", url, {"Idempotency-Key": str(call.execution_id)}, orjson.dumps(self.metadata))

    def prepared(self, call: Call) -> Publication:
        return self

    @property
    def origin(self) -> None:
        return None

    @property
    def size(self) -> int:
        return len(str(self.content))


@pytest.fixture(autouse=True)
def _registered(target: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(TopicTarget, "broker", target.url)
    target.answers["/topics/news"] = lambda _: (202, {}, b"accepted")
    kinds.register(TopicTarget)
    yield
    kinds.unregister(TopicTarget)


@pytest.fixture
def body(job_body: dict[str, Any]) -> dict[str, Any]:
    del job_body["target_url"]
    return {**job_body, "topic_name": "news", "metadata": {"a": 1}}


def ended(pk: Any) -> Execution:
    def look() -> Execution | None:
        return Execution.objects.filter(pk=pk).exclude(status=Status.RUNNING).first()

    found: Execution = wait_until(look)
    return found


def test_the_api_makes_shows_changes_and_runs_it(api: APIClient, body: dict[str, Any], target: Server) -> None:
    made = api.post("/api/v2/jobs", body).json()["job"]
    assert (made["topic_name"], made["target_url"], made["github_repo"]) == ("news", None, None)
    changed = api.put(f"/api/v2/jobs/{made['id']}", {"topic_name": "other"}).json()["job"]
    assert changed["topic_name"] == "other"
    assert api.put(f"/api/v2/jobs/{made['id']}", {"topic_name": "x" * 51}).json()["fields"].keys() == {"topic_name"}
    sent = api.post(f"/api/v2/jobs/{made['id']}/execute", {"topic_name": "news"}).json()
    execution = ended(sent["execution_id"])
    assert (execution.status, execution.execution_type, execution.target) == (Status.SUCCESS, "topic", "topic:news")
    assert (target.arrivals[0].method, target.arrivals[0].json) == ("POST", {"a": 1})
    tried = api.post("/api/v2/jobs/test-run", {"topic_name": "news"}).json()
    assert tried == {"ok": True, "type": "topic", "status_code": 202, "message": "Published."}


def test_another_kind_replaces_it_and_it_replaces_another(api: APIClient, body: dict[str, Any]) -> None:
    job = api.post("/api/v2/jobs", body).json()["job"]
    webhook = api.put(f"/api/v2/jobs/{job['id']}", {"target_url": "https://h.example.com/"}).json()["job"]
    assert (webhook["topic_name"], webhook["target_url"]) == (None, "https://h.example.com/")
    topic = api.put(f"/api/v2/jobs/{job['id']}", {"target_url": None, "topic_name": "news"}).json()["job"]
    assert (topic["topic_name"], topic["target_url"]) == ("news", None)
    github = {"github_owner": "a", "github_repo": "b", "github_workflow_name": "c.yml"}
    assert api.put(f"/api/v2/jobs/{job['id']}", github).json()["job"]["topic_name"] is None
    assert api.put(f"/api/v2/jobs/{job['id']}", {"topic_name": "news"}).json()["job"]["github_repo"] is None


def test_a_csv_file_brings_it_in_and_out(api: APIClient, body: dict[str, Any]) -> None:
    assert "Topic" in template_titles()
    text = "Job Name,Cron,Topic,End Date,PIC Team\r\nFrom a file,0 9 * * *,news,2099-12-31,qa-team\r\n"
    answer = api.post(
        "/api/v2/jobs/bulk-upload", {"file": SimpleUploadedFile("jobs.csv", text.encode())}, format="multipart"
    )
    assert answer.json()["created_count"] == 1, answer.json()
    assert str(Job.objects.get().target) == "topic:news"
    from io import StringIO

    from jobs.transfer.exporting import write_csv, write_json

    out = StringIO()
    write_csv(Job.objects.select_related("category", "pic_team"), out, reader=None)
    assert ',"news",' in out.getvalue()
    out = StringIO()
    write_json(Job.objects.all(), out, reader=None)
    assert '"topic_name": "news"' in out.getvalue()


def test_the_scheduler_fires_it_and_statistics_count_it(
    api: APIClient, body: dict[str, Any], target: Server, browser_of: Callable[[User], Client], admin: User
) -> None:
    noon = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)
    with time_machine.travel(noon, tick=False):
        job = create_job({**body, "cron_expression": "* * * * *"}, by=admin)
    leader = Leader()
    leader.take_over()
    with time_machine.travel(noon + dt.timedelta(minutes=1), tick=False):
        fire(leader)
    execution = ended(Execution.objects.get(job=job).pk)
    assert execution.status == Status.SUCCESS
    assert api.get(f"/api/v2/jobs/{job.pk}/executions/stats").json()["statistics"]["success_count"] == 1
    listed = api.get("/api/v2/executions", {"execution_type": "topic"}).json()
    assert [one["id"] for one in listed["executions"]] == [str(execution.pk)]
    page = browser_of(admin).get(reverse("admin:executions_execution_change", args=[execution.pk])).content.decode()
    assert "topic:news" in page
    assert "https://broker.example.com/news" in page


def test_the_admin_edits_it(browser_of: Callable[[User], Client], admin: User, api: APIClient, body: Any) -> None:
    made = api.post("/api/v2/jobs", body).json()["job"]
    browser = browser_of(admin)
    url = reverse("admin:jobs_job_change", args=[made["id"]])
    page: Any = browser.get(url)
    form = page.context["adminform"].form
    assert 'name="topic_name"' in page.content.decode()
    sent = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    sent = {name: value for name, value in sent.items() if value not in (None, False)}
    sent |= {"topic_name": "other", "metadata": "{}", "notification_emails": "", "target_kind": "topic"}
    answer = browser.post(url, sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert str(Job.objects.get().target) == "topic:other"
    listed = browser.get(reverse("admin:jobs_job_changelist"), {"target": "topic"}).content.decode()
    assert body["name"] in listed


def test_the_doctor_checks_it(api: APIClient, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    api.post("/api/v2/jobs", body)
    found = [one.words for one in doctor.examine(online=False) if one.subject == "topics"]
    assert found == ["1 jobs publish to topics"]
