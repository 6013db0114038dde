"""Requests of jobs against a real server: what arrives, what counts as success, and what is on record."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from executions import exchanges
from executions.models import Exchange, Execution, Status
from executions.retention import prune
from executions.services import run_again, trigger_now
from jobs.models import Job
from scheduler.firing import fire
from scheduler.leadership import Leader
from settings_app.models import Secret, WebhookCredential
from tests.support.executions import ended
from tests.support.target import Arrival, Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
MakeJob = Callable[..., Job]


def run(job: Job, **data: Any) -> Execution:
    assert job.created_by is not None
    return ended(trigger_now(job.pk, data, by=job.created_by))


def fired(job: Job) -> Execution:
    """The execution of a fire time that is due now."""
    due = timezone.now().replace(microsecond=0) - dt.timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(next_run_at=due)
    leader = Leader()
    leader.take_over()
    fire(leader)
    return ended(Execution.objects.get(job=job, scheduled_for=due))


def record(execution: Execution) -> dict[str, Any]:
    found = exchanges.of(execution.pk)
    assert found is not None
    return found


def test_method_headers_query_and_text(make_job: MakeJob, target: Target) -> None:
    job = make_job(
        target_url=f"{target.url}/soap?v=1",
        method="PUT",
        body="text",
        body_text="<a>日本</a>",
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": "run"},
        query={"day": "1 2"},
    )
    assert run(job).status == Status.SUCCESS
    (arrival,) = target.arrivals
    assert (arrival.method, arrival.path, arrival.query) == ("PUT", "/soap", "v=1&day=1+2")
    assert arrival.body.decode() == "<a>日本</a>"
    assert (arrival.headers["Content-Type"], arrival.headers["SOAPAction"]) == ("text/xml; charset=utf-8", "run")
    assert arrival.headers["X-Cronsched-Job"] == str(job.pk)


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PATCH"])
def test_each_method_gets_its_answer(make_job: MakeJob, target: Target, method: str) -> None:
    job = make_job(target_url=target.url + "/ok", method=method)
    assert [run(job).status, run(job).status] == [Status.SUCCESS] * 2
    assert {arrival.method for arrival in target.arrivals} == {method}


def test_a_fire_time_is_told(make_job: MakeJob, target: Target) -> None:
    execution = fired(make_job(target_url=target.url + "/ok"))
    headers = target.arrivals[0].headers
    assert execution.scheduled_for is not None
    assert headers["X-Cronsched-Scheduled-For"] == f"{execution.scheduled_for:%Y-%m-%dT%H:%M:%SZ}"
    assert (headers["X-Cronsched-Trigger"], headers["X-Cronsched-Attempt"]) == ("scheduled", "1")


def test_each_attempt_tells_its_number(make_job: MakeJob, target: Target) -> None:
    job = make_job(
        target_url=target.url + "/status/500",
        max_attempts=2,
        retry_backoff_seconds=1,
        templated=True,
        headers={"X-Try": "{{ attempt }}"},
        metadata={"id": "{{ execution_id }}"},
    )
    execution = run(job)
    assert [arrival.headers["X-Cronsched-Attempt"] for arrival in target.arrivals] == ["1", "2"]
    assert [arrival.headers["X-Try"] for arrival in target.arrivals] == ["1", "2"]
    assert {arrival.body for arrival in target.arrivals} == {
        json.dumps({"id": str(execution.pk)}).replace(" ", "").encode()
    }


def test_variables_are_put_in_once_and_kept(make_job: MakeJob, target: Target, admin: User) -> None:
    job = make_job(
        target_url=target.url + '/day/{{ scheduled_for | date("YYYY-MM-DD") }}',
        templated=True,
        query={"from": "{{ previous_success_for }}"},
        metadata={"at": "{{ scheduled_for | epoch }}", "who": "{{ job.name }} by {{ trigger }}", "raw": r"\{{ x }}"},
    )
    first = fired(job)
    assert first.scheduled_for is not None
    arrival = target.arrivals[0]
    assert arrival.path == f"/day/{first.scheduled_for.astimezone(job.zone):%Y-%m-%d}"
    assert arrival.query == "from="
    assert arrival.json == {
        "at": int(first.scheduled_for.timestamp()),
        "who": "Nightly by scheduled",
        "raw": "{{ x }}",
    }
    assert first.target == f"{target.url}{arrival.path}"
    Job.objects.filter(pk=job.pk).update(name="Renamed", metadata={"other": 1})
    ended(run_again(first, by=admin))
    again = target.arrivals[1]
    assert (again.path, again.query, again.body) == (arrival.path, arrival.query, arrival.body)


def test_the_last_success_is_known(make_job: MakeJob, target: Target) -> None:
    job = make_job(
        target_url=target.url + "/ok", templated=True, metadata={"since": "{{ previous_success_for | epoch }}"}
    )
    first = fired(job)
    assert first.scheduled_for is not None
    assert run(job).status == Status.SUCCESS
    assert [arrival.json["since"] for arrival in target.arrivals] == [None, int(first.scheduled_for.timestamp())]


def test_jobs_are_not_rendered_until_it_is_switched_on(make_job: MakeJob, target: Target) -> None:
    job = make_job(target_url=target.url + "/ok", metadata={"text": "{{ scheduled_for }} {{ nonsense"})
    run(job)
    assert target.arrivals[0].json == {"text": "{{ scheduled_for }} {{ nonsense"}


def test_a_secret_arrives_and_is_nowhere_on_record(
    make_job: MakeJob, target: Target, make_secret: Callable[..., Secret]
) -> None:
    value = make_secret().value

    def echo(arrival: Arrival) -> tuple[int, dict[str, str], bytes]:
        told = {"body": arrival.body.decode(), "query": arrival.query, "b64": base64.b64encode(arrival.body).decode()}
        return 200, {"X-Echo": arrival.headers["X-Key"]}, json.dumps(told).encode()

    target.answers["/echo"] = echo
    secret = make_secret("TOKEN", "an-ascii-secret/+=")
    job = make_job(
        target_url=target.url + "/echo",
        templated=True,
        headers={"X-Key": "{{ secret.TOKEN }}"},
        query={"key": "{{ secret.TOKEN }}"},
        metadata={"password": "{{ secret.KEY }}"},
    )
    execution = run(job)
    (arrival,) = target.arrivals
    assert (arrival.headers["X-Key"], arrival.json) == (secret.value, {"password": value})
    stored = json.dumps(record(execution), ensure_ascii=False) + execution.output + json.dumps(execution.overrides)
    for text in (secret.value, value, "an-ascii-secret", "%2F%2B%3D", json.dumps(value)[1:-1]):
        assert text not in stored
    assert ["X-Key", "{{ secret.TOKEN }}"] in record(execution)["request"]["headers"]
    wait_until(lambda: Secret.objects.get(name="KEY").last_used_at)


@pytest.mark.parametrize("before", [988, 995, 16 * 1024 - 10, 16 * 1024 - 3])
def test_a_secret_that_is_cut_off_is_hidden(
    make_job: MakeJob, target: Target, make_credential: Callable[..., WebhookCredential], before: int
) -> None:
    make_credential()
    target.answers["/echo"] = lambda _: (200, {}, b"." * before + b"t0k3n-of-crm")
    rule = {"success_body": "contains never"}
    execution = run(make_job(target_url=target.url + "/echo", webhook_credential="crm", **rule))
    content = Exchange.objects.get(pk=execution.pk).content
    assert "t0k" not in content + execution.output + execution.error_message


def test_a_secret_in_the_reason_is_hidden_before_it_is_cut(
    make_job: MakeJob, target: Target, make_credential: Callable[..., WebhookCredential]
) -> None:
    make_credential()
    target.answers["/echo"] = lambda _: (200, {}, b"." * 50 + b"t0k3n-of-crm and more")
    job = make_job(target_url=target.url + "/echo", webhook_credential="crm", success_body="contains never")
    assert "t0k" not in run(job).error_message


def test_a_secret_goes_to_its_hosts_only(
    make_job: MakeJob, target: Target, make_secret: Callable[..., Secret], make_credential: Callable[..., Any]
) -> None:
    secret = make_secret()
    job = make_job(target_url=target.url + "/ok", templated=True, metadata={"a": "{{ secret.KEY }}"})
    Secret.objects.filter(pk=secret.pk).update(allowed_hosts="api.example.com")
    execution = run(job)
    assert execution.error_message == "the secret 'KEY' may not be sent to 127.0.0.1: an admin names its hosts"
    assert target.arrivals == []


@pytest.mark.parametrize(
    ("fields", "header", "value"),
    [
        ({}, "Authorization", "Bearer t0k3n-of-crm"),
        ({"kind": "basic", "username": "u"}, "Authorization", "Basic dTp0MGszbi1vZi1jcm0="),
        ({"kind": "header", "header_name": "X-Api-Key"}, "X-Api-Key", "t0k3n-of-crm"),
    ],
)
def test_credentials(
    make_job: MakeJob,
    target: Target,
    make_credential: Callable[..., WebhookCredential],
    fields: dict[str, str],
    header: str,
    value: str,
) -> None:
    make_credential(**fields)
    target.answers["/echo"] = lambda arrival: (200, {}, arrival.headers[header].encode())
    execution = run(make_job(target_url=target.url + "/echo", webhook_credential="crm"))
    assert target.arrivals[0].headers[header] == value
    assert "t0k3n" not in execution.output
    assert "dTp0MG" not in execution.output
    content = Exchange.objects.get(pk=execution.pk).content
    assert "t0k3n" not in content
    assert "dTp0MG" not in content


def test_a_signed_call_and_its_repetition(
    make_job: MakeJob, target: Target, make_credential: Callable[..., WebhookCredential]
) -> None:
    import hashlib
    import hmac

    key = b"k" * 32
    make_credential(kind="hmac", secret="whsec_" + base64.b64encode(key).decode())
    job = make_job(target_url=target.url + "/ok", webhook_credential="crm", metadata={"a": "日本"})
    execution = run(job)
    (arrival,) = target.arrivals
    signed = f"{arrival.headers['webhook-id']}.{arrival.headers['webhook-timestamp']}.".encode() + arrival.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert arrival.headers["webhook-signature"] == f"v1,{expected}"
    assert arrival.headers["webhook-id"] == str(execution.pk)


def test_oauth_renews_a_refused_token_once(
    make_job: MakeJob, target: Target, make_credential: Callable[..., WebhookCredential]
) -> None:
    tokens = iter(["first-token", "second-token"])

    def grant(_: Arrival) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps({"access_token": next(tokens), "expires_in": 3600}).encode()

    def api(arrival: Arrival) -> tuple[int, dict[str, str], bytes]:
        good = arrival.headers["Authorization"] == "Bearer second-token"
        return (200 if good else 401), {}, arrival.headers["Authorization"].encode()

    target.answers |= {"/token": grant, "/api": api}
    make_credential(kind="oauth2", username="id", secret="client-s3cret", token_url=f"{target.url}/token")
    job = make_job(target_url=target.url + "/api", webhook_credential="crm")
    execution = run(job)
    assert (execution.status, target.paths()) == (Status.SUCCESS, ["/token", "/api", "/token", "/api"])
    assert "second-token" not in Exchange.objects.get(pk=execution.pk).content
    run(job)
    assert target.paths()[4:] == ["/api"]


def test_a_token_endpoint_that_is_down_is_asked_again(
    make_job: MakeJob, target: Target, make_credential: Callable[..., WebhookCredential]
) -> None:
    answers = iter([(503, {}, b""), (200, {}, b'{"access_token": "some-token"}')])
    target.answers["/token"] = lambda _: next(answers)
    make_credential(kind="oauth2", username="id", token_url=f"{target.url}/token")
    job = make_job(target_url=target.url + "/ok", webhook_credential="crm", max_attempts=2, retry_backoff_seconds=1)
    execution = run(job)
    assert (execution.status, target.paths()) == (Status.SUCCESS, ["/token", "/token", "/ok"])
    assert execution.attempts[0]["status"] == 503


def test_redirects_are_failures_unless_they_are_followed(make_job: MakeJob, target: Target) -> None:
    target.answers["/old"] = lambda _: (307, {"Location": "/new?x=1"}, b"")
    job = make_job(target_url=target.url + "/old", metadata={"a": 1})
    assert run(job).response_status == 307
    job = make_job(name="Follows", target_url=target.url + "/old", metadata={"a": 1}, redirects="follow")
    execution = run(job)
    assert (execution.response_status, len(execution.attempts)) == (200, 2)
    assert (target.arrivals[-1].method, target.arrivals[-1].json) == ("POST", {"a": 1})
    assert record(execution)["request"]["url"] == f"{target.url}/new?x=1"


def test_a_redirect_is_judged_and_ends(make_job: MakeJob, target: Target) -> None:
    target.answers["/away"] = lambda _: (302, {"Location": "http://10.0.0.1/"}, b"")
    target.answers["/loop"] = lambda _: (302, {"Location": "/loop"}, b"")
    away = run(make_job(target_url=target.url + "/away", redirects="follow"))
    assert away.error_message == "the address 10.0.0.1 is not allowed as a target"
    loop = run(make_job(name="Loop", target_url=target.url + "/loop", redirects="follow"))
    assert (loop.response_status, len(loop.attempts)) == (302, 6)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("x-gzip", gzip.compress)],
)
def test_packed_answers_are_read(
    make_job: MakeJob, target: Target, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    target.answers["/packed"] = lambda _: (200, {"Content-Encoding": coding}, pack("結果 ok".encode()))
    assert run(make_job(target_url=target.url + "/packed")).output == "結果 ok"
    bomb = pack(b"a" * 50_000_000)
    target.answers["/packed"] = lambda _: (200, {"Content-Encoding": coding}, bomb)
    execution = run(make_job(name="Bomb", target_url=target.url + "/packed"))
    assert (execution.status, execution.output) == (Status.SUCCESS, "a" * 1000)
    assert len(record(execution)["answer"]["body"]) <= 16 * 1024
    target.answers["/packed"] = lambda _: (200, {"Content-Encoding": coding}, b"not packed")
    assert run(make_job(name="Odd", target_url=target.url + "/packed")).status == Status.SUCCESS


@pytest.mark.parametrize(
    ("rules", "path", "status", "error"),
    [
        ({"success_status": "200-299,409"}, "/status/409", Status.SUCCESS, ""),
        ({"success_status": "409"}, "/ok", Status.FAILED, "Webhook returned status 200, not 409"),
        ({"success_body": "contains ok"}, "/ok", Status.SUCCESS, ""),
        (
            {"success_body": "lacks ok"},
            "/ok",
            Status.FAILED,
            "Webhook returned status 200, but the answer contains 'ok'",
        ),
        ({"success_body": "contains b"}, "/text?t=a&n=2000000", Status.FAILED, None),
        ({}, "/text?t=a&n=2000000", Status.SUCCESS, ""),
    ],
)  # fmt: skip
def test_what_counts_as_success(
    make_job: MakeJob, target: Target, rules: dict[str, str], path: str, status: Status, error: str | None
) -> None:
    execution = run(make_job(target_url=target.url + path, **rules))
    assert execution.status == status
    if error is not None:
        assert execution.error_message == error


def test_the_body_is_judged_beyond_what_is_kept(make_job: MakeJob, target: Target) -> None:
    target.answers["/long"] = lambda _: (200, {}, b"x" * 50_000 + b"DONE")
    execution = run(make_job(target_url=target.url + "/long", success_body="contains DONE"))
    assert (execution.status, len(execution.output)) == (Status.SUCCESS, 1000)


def test_broken_criteria_are_retried_only_if_asked(make_job: MakeJob, target: Target) -> None:
    rules = {"success_body": "contains never", "max_attempts": 2, "retry_backoff_seconds": 1}
    assert len(run(make_job(target_url=target.url + "/ok", **rules)).attempts) == 1
    job = make_job(name="Again", target_url=target.url + "/ok", retry_on=["criteria"], **rules)
    assert len(run(job).attempts) == 2


def test_the_record(make_job: MakeJob, target: Target) -> None:
    target.answers["/r"] = lambda _: (200, {"X-Answer": "1"}, b'{"a": 1}')
    execution = run(make_job(target_url=target.url + "/r?x=1", metadata={"text": "y" * 20_000}))
    found = record(execution)
    assert (found["request"]["method"], found["request"]["url"]) == ("POST", f"{target.url}/r?x=1")
    assert (len(found["request"]["body"]), found["request"]["size"]) == (16 * 1024, 20_011)
    assert ["X-Answer", "1"] in found["answer"]["headers"]
    assert (found["answer"]["body"], found["answer"]["address"]) == ('{"a": 1}', "127.0.0.1")
    timings = found["answer"]["timings"]
    assert 0 < timings["connect"] < 1
    assert timings["connect"] < timings["connect"] + timings["first_byte"] <= timings["total"]
    again = record(run(execution.job))["answer"]["timings"]
    assert again["connect"] == 0


def test_a_call_without_an_answer_is_on_record(make_job: MakeJob, target: Target) -> None:
    execution = run(make_job(target_url=target.url + "/reset"))
    assert execution.status == Status.FAILED
    assert "answer" not in record(execution)


def test_the_record_ends_with_its_execution(make_job: MakeJob, target: Target, settings: Any) -> None:
    job = make_job(target_url=target.url + "/ok")
    execution = run(job)
    settings.EXECUTIONS_KEPT_DAYS = 10
    Execution.objects.filter(pk=execution.pk).update(started_at=timezone.now() - dt.timedelta(days=11))
    prune()
    assert (Execution.objects.count(), Exchange.objects.count()) == (0, 0)


def test_records_may_be_kept_for_a_shorter_time(make_job: MakeJob, target: Target, settings: Any) -> None:
    import uuid

    job = make_job(target_url=target.url + "/ok")
    new = run(job)
    old_id = uuid.UUID(int=int((timezone.now() - dt.timedelta(days=40)).timestamp() * 1000) << 80)
    old = Execution.objects.create(
        id=old_id, job=job, status="success", trigger_type="manual", execution_type="webhook"
    )
    Exchange.objects.create(execution=old, content="{}")
    prune()
    assert list(Exchange.objects.values_list("pk", flat=True)) == [new.pk]
    assert Execution.objects.count() == 2


def test_what_the_api_refuses(api: APIClient, job_body: dict[str, Any], make_secret: Callable[..., Secret]) -> None:
    make_secret(hosts="api.example.com\n*.internal.example.com:8443")

    def refused(**changes: Any) -> str:
        answer = api.post("/api/v2/jobs", {**job_body, **changes}, format="json")
        assert answer.status_code in {400, 403}, answer.content
        return str(answer.json()["message"])

    assert "is Cronsched's own" in refused(headers={"host": "x"})
    assert "is Cronsched's own" in refused(headers={"X-Cronsched-Job": "x"})
    assert "At most 32 headers" in refused(headers={f"X-{n}": "1" for n in range(33)})
    assert "no name of a header" in refused(headers={"a b": "x"})
    assert "no header can" in refused(headers={"X-A": "a\r\nX-B: c"})
    assert "no header can" in refused(headers={"X-A": "日本"})
    assert "is there twice" in refused(headers={"X-A": "1", "x-a": "2"})
    assert "must be text" in refused(headers={"X-A": 1})
    assert "switch 'templated' on" in refused(headers={"X-A": "{{ secret.KEY }}"})
    assert "no variable 'nope'" in refused(templated=True, metadata={"a": "{{ nope }}"})
    assert "is for headers only" in refused(templated=True, metadata={"a": "{{ attempt }}"})
    assert "path and the query" in refused(templated=True, target_url="https://{{ job.name }}.example.com/")
    assert "no secret 'NOPE'" in refused(templated=True, headers={"X-A": "{{ secret.NOPE }}"})
    assert "may not be sent to hooks.example.com" in refused(templated=True, headers={"X-A": "{{ secret.KEY }}"})
    assert "Secrets are for" in refused(templated=True, target_url="https://api.example.com/{{ secret.KEY }}")
    assert "need a calendar" in refused(templated=True, metadata={"a": '{{ scheduled_for | add("1bd") }}'})
    assert "too large" in refused(name="x" * 250, templated=True, metadata={"a": "{{ job.name }}" * 300})
    long = "https://api.example.com/" + "{{ job.name }}" * 20
    assert "longer than 2048" in refused(name="x" * 250, templated=True, target_url=long)
    assert "becomes a text that no header can" in refused(
        name="日次", templated=True, headers={"X-A": "{{ job.name }}"}
    )
    assert "HEAD request has no body" in refused(method="HEAD", success_body="contains x")
    assert "is no status" in refused(success_status="2xx")
    assert "is no rule" in refused(success_body="is good")
    assert "no webhook credential" in refused(webhook_credential="nope")
    assert "has no body" in refused(method="GET", body="text", body_text="x")
    assert refused(method="TRACE")
    good = {
        **job_body,
        "templated": True,
        "headers": {"X-A": "{{ secret.KEY }}"},
        "target_url": "https://a.internal.example.com:8443/x",
    }
    answer = api.post("/api/v2/jobs", good, format="json")
    assert answer.status_code == 201, answer.content


def test_a_change_of_the_host_is_refused_while_a_secret_is_for_another(
    api: APIClient, job_body: dict[str, Any], make_credential: Callable[..., WebhookCredential]
) -> None:
    make_credential(allowed_hosts="hooks.example.com")
    job = api.post("/api/v2/jobs", {**job_body, "webhook_credential": "crm"}, format="json").json()["job"]
    answer = api.put(f"/api/v2/jobs/{job['id']}", {"target_url": "https://evil.example.com/"}, format="json")
    assert answer.status_code == 400
    assert "may not be sent to evil.example.com" in answer.json()["message"]
    assert api.put(f"/api/v2/jobs/{job['id']}", {"name": "Other"}, format="json").status_code == 200


def test_a_secret_in_use_cannot_be_deleted(make_job: MakeJob, make_secret: Callable[..., Secret]) -> None:
    from django.db.models import ProtectedError

    from jobs.services import delete_job, update_job

    secret = make_secret(hosts="hooks.example.com")
    job = make_job(templated=True, metadata={"a": "{{ secret.KEY }}"})
    assert job.created_by is not None
    with pytest.raises(ProtectedError):
        secret.delete()
    update_job(job.pk, {"metadata": {}}, by=job.created_by)
    other = make_job(name="Other", templated=True, query={"a": "{{ secret.KEY }}"})
    with pytest.raises(ProtectedError):
        secret.delete()
    delete_job(other.pk, by=job.created_by)
    secret.delete()


def test_who_may_not_edit_a_job_sees_no_values(
    client_of: Callable[[User], APIClient], viewer: User, make_job: MakeJob
) -> None:
    job = make_job(
        headers={"X-Api-Key": "k", "Accept": "a/b"},
        query={"day": "1"},
        body="text",
        method="POST",
        body_text="token=abc",
    )
    shown = client_of(viewer).get(f"/api/v2/jobs/{job.pk}").json()["job"]
    assert shown["headers"] == {"X-Api-Key": "••••••", "Accept": "a/b"}
    assert shown["query"] == {"day": "••••••"}
    assert "abc" not in shown["body_text"]


def test_overrides_are_judged_like_the_job(
    client_of: Callable[[User], APIClient], user: User, make_job: MakeJob, make_secret: Callable[..., Secret]
) -> None:
    secret = make_secret(hosts="hooks.example.com")
    Secret.objects.filter(pk=secret.pk).update(usable_by="admins")
    job = make_job(by=user, templated=True, metadata={"a": "{{ trigger }}"})
    mine = client_of(user)

    def refused(**overrides: Any) -> Any:
        answer = mine.post(f"/api/v2/jobs/{job.pk}/execute", overrides, format="json")
        return answer.status_code, Execution.objects.count()

    assert refused(metadata={"a": "{{ secret.KEY }}"}) == (403, 0)
    assert refused(metadata={"a": "{{ nope }}"}) == (400, 0)
    assert refused(target_url="https://hooks.example.com/{{ secret.KEY }}") == (400, 0)


def test_a_take_over_sends_what_was_written(make_job: MakeJob, target: Target) -> None:
    from executions.delivery.carry_out import carry_out, read_teams
    from tests.support.executions import left

    job = make_job(target_url=target.url + "/ok", templated=True, method="PUT", metadata={"t": "{{ trigger }}"})
    from jobs import content

    values = content.values_of(job, execution_id="1", trigger="scheduled", scheduled_for=timezone.now())
    rendered = content.render(job, job.target, content.Content.of(job), values)
    from executions.delivery import engine

    execution = left(job, engine.worker_id(), target=str(job.target), overrides={"rendered": rendered.content.stored()})
    Job.objects.filter(pk=job.pk).update(metadata={"x": 1}, method="POST", body="text", templated=False)
    carry_out([Execution.objects.select_related("job").get(pk=execution.pk)], read_teams())
    ended(execution)
    assert (target.arrivals[0].method, target.arrivals[0].json) == ("PUT", {"t": "scheduled"})


def test_a_request_that_cannot_be_made_any_more_takes_no_other_down(make_job: MakeJob, target: Target) -> None:
    long = make_job(target_url=target.url + "/{{ job.name }}", templated=True)
    good = make_job(name="Good", target_url=target.url + "/ok")
    Job.objects.filter(pk=long.pk).update(name="日" * 255, next_run_at=timezone.now())
    assert fired(good).status == Status.SUCCESS
    long.refresh_from_db()
    assert "longer than 2048" in long.problem


def test_the_record_for_readers(
    client_of: Callable[[User], APIClient], viewer: User, admin: User, make_job: MakeJob, target: Target
) -> None:
    head = {"Set-Cookie": "sid=SESSION1; Path=/", "Location": "https://x.example.com/?page=abc&code=CODE1"}
    target.answers["/r"] = lambda _: (200, head, b'{"tokens": ["TOKEN1", "TOKEN2"], "password": "x\\"TAIL", "n": 1}')
    job = make_job(
        target_url=target.url + "/r?day=1&api_key=Q1",
        headers={"Cookie": "session=SESSION2; theme=dark", "Authorization": "Bearer plain-token"},
        metadata={"credentials": {"pin": "PIN1"}, "a": 1},
    )
    execution = run(job)
    for reader, sees in ((viewer, False), (admin, True)):
        shown = client_of(reader).get(f"/api/v2/executions/{execution.pk}/exchange").content.decode()
        for secret in ("SESSION1", "SESSION2", "plain-token", "PIN1", "TOKEN1", "TOKEN2", "TAIL", "Q1", "CODE1"):
            assert secret not in shown
        assert ("day=1" in shown) is sees
        assert ("page=abc" in shown) is sees
    missing = client_of(admin).get(f"/api/v2/executions/{job.pk}/exchange")
    assert missing.json()["error"] == "Execution not found"


def test_a_test_run_knows_zone_and_calendar(api: APIClient, target: Target) -> None:
    body = {
        "target_url": target.url + "/ok",
        "templated": True,
        "time_zone": "America/New_York",
        "metadata": {"z": '{{ scheduled_for | date("Z") }}'},
    }
    assert api.post("/api/v2/jobs/test-run", body, format="json").json()["ok"] is True
    assert target.arrivals[0].json["z"] in {"-05:00", "-04:00"}


def test_a_test_run_sends_what_a_run_would(api: APIClient, target: Target, make_secret: Callable[..., Secret]) -> None:
    make_secret(value="ascii-s3cret")
    answer = api.post(
        "/api/v2/jobs/test-run",
        {
            "target_url": target.url + "/try",
            "method": "PUT",
            "headers": {"X-Key": "{{ secret.KEY }}"},
            "metadata": {"t": "{{ trigger }}"},
            "templated": True,
        },
        format="json",
    )
    assert answer.json()["ok"] is True, answer.content
    (arrival,) = target.arrivals
    assert (arrival.method, arrival.headers["X-Key"], arrival.json) == ("PUT", "ascii-s3cret", {"t": "test"})
