"""The engine against targets that misbehave: each ends as a failed execution with a plain reason, and delays nobody."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from core.db.encryption import encrypt
from executions.backends import shut_down
from executions.delivery import engine
from executions.delivery.carry_out import delivery_of, read_teams
from executions.delivery.state import Delivery
from executions.http.connect import Origin
from executions.http.connection import DeliveryError
from executions.models import Execution, Status, TriggerType, Worker
from executions.recovery import recover
from executions.services import trigger_now
from executions.statistics import queries
from executions.targets import Call, Webhook, WebhookTarget, lookup
from jobs.content import Content
from jobs.models import Job
from settings_app.models import GitHubCredential
from tests.support.clock import HandClock
from tests.support.executions import ended
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Execution]


def submit(job: Job, *urls: str, timeout: float = 5, delay: float = 0) -> list[Execution]:
    """Store running executions of these URLs and hand them to the engine."""
    now = timezone.now()
    executions = [
        Execution(
            job=job, trigger_type=TriggerType.MANUAL, execution_type="webhook", target=url, worker_id=engine.worker_id()
        )
        for url in urls
    ]
    Execution.objects.bulk_create(executions)
    deliveries: list[Delivery] = [
        delivery_of(
            job, e.id, now, WebhookTarget(e.target), Content({}), teams=read_teams(), worker_id=engine.worker_id()
        )._replace(timeout=timeout, delay=delay)
        for e in executions
    ]
    engine.local_engine().submit(deliveries)
    return executions


@pytest.fixture
def job(make_job: Callable[..., Job], target: Target) -> Job:
    return make_job(target_url=target.url + "/ok")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/hang", "timed out: no answer within 0.5 s"),
        ("/drip", "timed out: no answer within 0.5 s"),
        ("/reset", "connection"),
        ("/close", "the target closed the connection without an answer"),
        ("/garbage", "the target's answer is not valid HTTP"),
        ("/short", "the target broke off in the middle of its answer"),
    ],
)
def test_a_target_that_misbehaves_costs_its_timeout_at_most(job: Job, target: Target, path: str, reason: str) -> None:
    started = time.monotonic()
    execution = ended(submit(job, target.url + path, timeout=0.5)[0], 10)
    assert time.monotonic() - started < 10
    assert execution.status == Status.FAILED
    assert reason in execution.error_message
    assert execution.response_status is None
    assert execution.output == ""
    assert execution.attempts[0]["error"] == execution.error_message


def test_of_an_answer_without_end_the_beginning_is_kept(job: Job, target: Target) -> None:
    execution = ended(submit(job, target.url + "/flood")[0])
    assert (execution.status, execution.response_status) == (Status.SUCCESS, 200)
    assert len(execution.output) == 1000


def test_nothing_listens(job: Job) -> None:
    execution = ended(submit(job, "http://127.0.0.1:1/x")[0])
    assert execution.error_message == "no connection to 127.0.0.1:1: connection refused"


def test_a_hanging_target_delays_no_other_job(job: Job, target: Target) -> None:
    slow = submit(job, *[f"{target.url}/hang"] * 20, timeout=3)
    started = time.monotonic()
    ended(submit(job, f"{target.url}/ok")[0])
    assert time.monotonic() - started < 3
    assert Execution.objects.get(pk=slow[0].pk).status == Status.RUNNING
    target.released.set()


def test_no_more_calls_than_allowed_go_to_one_host(job: Job, target: Target, settings: Any) -> None:
    settings.ENGINE_CONCURRENCY_PER_HOST = 3
    executions = submit(job, *[f"{target.url}/hang"] * 6, timeout=0.5)
    target.wait_for(3)
    wait_until(lambda: engine.local_engine().phases() == {"calling": 3, "limit": 3})
    assert len(target.arrivals) == 3
    target.released.set()
    for execution in executions:
        ended(execution)
    assert len(target.arrivals) == 6


def test_shutdown_lets_calls_finish_and_records_every_outcome(job: Job, target: Target) -> None:
    executions = submit(job, *[f"{target.url}/sleep?s=0.4"] * 5)
    target.wait_for(5)
    engine.shutdown_local_engine(5)
    assert {Execution.objects.get(pk=e.pk).status for e in executions} == {Status.SUCCESS}
    assert not Worker.objects.exists()


def test_shutdown_ends_what_takes_too_long_and_gives_back_what_it_did_not_begin(
    job: Job, target: Target, settings: Any
) -> None:
    settings.ENGINE_CONCURRENCY_PER_HOST, settings.ENGINE_DRAIN_SECONDS = 2, 0
    executions = submit(job, *[f"{target.url}/sleep?s=20"] * 4)
    target.wait_for(2)
    shut_down()
    stored = sorted((Execution.objects.get(pk=e.pk) for e in executions), key=lambda e: e.status)
    assert [(e.status, e.worker_id) for e in stored[2:]] == [(Status.RUNNING, None)] * 2
    assert {e.status for e in stored[:2]} == {Status.FAILED}
    assert {e.error_message for e in stored[:2]} == {"the process that made the call was stopped before an answer came"}
    settings.ENGINE_DRAIN_SECONDS = 5
    target.forget()
    target.released.set()
    assert recover() == 2
    for execution in stored[2:]:
        assert ended(execution).takeovers == 1
    assert len(target.arrivals) == 2


def test_outcomes_wait_for_a_database_that_is_away(job: Job, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from executions.recording import storage

    store, failures = storage.store, iter([True, True])

    def flaky(batch: list[Any]) -> None:
        if next(failures, False):
            raise OperationalError("gone")
        store(batch)

    monkeypatch.setattr(storage, "store", flaky)
    assert ended(submit(job, target.url + "/ok")[0]).status == Status.SUCCESS


def test_an_outcome_does_not_overwrite_one_that_is_recorded(job: Job, target: Target) -> None:
    execution = submit(job, target.url + "/sleep?s=0.3")[0]
    target.wait_for(1)
    Execution.objects.filter(pk=execution.pk).update(status=Status.CANCELLED)
    engine.shutdown_local_engine(5)
    assert Execution.objects.get(pk=execution.pk).status == Status.CANCELLED


def test_a_manual_run_notes_who_asked_and_what_was_overridden(job: Job, target: Target) -> None:
    assert job.created_by is not None
    execution = trigger_now(job.pk, {"metadata": {"a": 1}}, by=job.created_by)
    assert (execution.triggered_by, execution.overrides) == (job.created_by, {"metadata": {"a": 1}})
    done = ended(execution)
    job.refresh_from_db()
    assert (job.last_status, job.last_execution_at) == (Status.SUCCESS, done.started_at)


def test_a_duration_is_told_in_seconds(job: Job, target: Target) -> None:
    done = ended(submit(job, target.url + "/sleep?s=0.3")[0])
    assert done.duration_seconds is not None
    # On a machine under load a call takes longer; milliseconds would be 300 and more.
    assert 0.3 <= done.duration_seconds < 30
    assert 0.3 <= done.attempts[0]["duration_seconds"] < 30


def test_what_is_sent_is_the_same_whoever_asks() -> None:
    key: UUID = uuid4()
    request = Webhook("https://x.example.com/", Content({"a": "é"})).request(Call(key))
    assert (request.method, request.body, request.headers["Idempotency-Key"]) == (
        "POST",
        '{"a":"é"}'.encode(),
        str(key),
    )


def test_an_answer_that_no_database_stores_stops_no_outcome(job: Job, target: Target) -> None:
    kinds = {"Content-Type": "text/plain; charset=unicode_escape"}
    target.answers["/odd"] = lambda _: (200, kinds, rb"\ud800")
    assert ended(submit(job, target.url + "/odd")[0]).output == "?"
    assert ended(submit(job, target.url + "/ok")[0]).status == Status.SUCCESS


def test_an_outcome_that_cannot_be_stored_ends_plainly_and_stops_no_other(
    job: Job, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executions.recording import storage

    store = storage.store

    def picky(batch: list[Any]) -> None:
        if any(item.target.endswith("/text") or "/text?" in item.target for item in batch):
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        store(batch)

    monkeypatch.setattr(storage, "store", picky)
    bad, good = submit(job, target.url + "/text?t=a", target.url + "/ok")
    assert ended(good).status == Status.SUCCESS
    assert ended(bad).error_message == "internal error: its outcome could not be stored"


def test_a_retry_that_cannot_be_planned_ends_the_execution(make_job: Callable[..., Job], target: Target) -> None:
    when = {"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}
    target.answers["/odd"] = lambda _: (503, when, b"")
    job = make_job(target_url=target.url + "/odd", max_attempts=2, retry_backoff_seconds=1)
    assert job.created_by is not None
    assert len(ended(trigger_now(job.pk, {}, by=job.created_by)).attempts) == 2


def test_a_failure_before_any_call_is_an_attempt_and_ends(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_thread = lookup.in_thread

    def away(work: Callable[[], Any], what: str) -> Any:
        if what != "the GitHub token":
            return in_thread(work, what)
        raise DeliveryError("the database did not answer when the GitHub token was looked up", "connect")

    monkeypatch.setattr(lookup, "in_thread", away)
    credential = GitHubCredential.objects.create(name="ci", token=encrypt("ghp_x"))
    job = make_job(target_url="acme/shop/ci.yml", max_attempts=2, retry_backoff_seconds=1)
    Job.objects.filter(pk=job.pk).update(github_credential=credential)
    assert job.created_by is not None
    done = ended(trigger_now(job.pk, {}, by=job.created_by))
    assert (done.status, len(done.attempts), done.error_message) == (
        Status.FAILED,
        2,
        "the database did not answer when the GitHub token was looked up",
    )
    assert engine.local_engine().known() == set()


def test_an_unexpected_error_ends_the_execution(job: Job, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Engine, "_go_on", lambda *_: [][0])
    done = ended(submit(job, target.url + "/ok")[0])
    assert (done.status, done.error_message[:14]) == (Status.FAILED, "internal error")
    wait_until(lambda: engine.local_engine().known() == set())


def test_the_retry_deadline_counts_from_the_first_attempt(
    make_job: Callable[..., Job], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    monkeypatch.setattr(engine, "new_clock", lambda: clock)
    url = target.url + "/status/503"
    job = make_job(target_url=url, max_attempts=2, retry_backoff_seconds=10, retry_deadline_seconds=60)
    (execution,) = submit(job, url, delay=500)
    assert clock.next_timer() == 500
    clock.advance(500)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts)
    clock.advance(clock.next_timer())
    assert len(ended(execution).attempts) == 2


def test_of_the_jitter_only_what_is_left_is_waited_for(make_job: Callable[..., Job]) -> None:
    job = make_job(jitter_seconds=3600)
    now = timezone.now()

    def delay(ago: float, **more: Any) -> float:
        due = now - dt.timedelta(seconds=ago)
        return delivery_of(
            job,
            uuid4(),
            now,
            WebhookTarget(job.target_url),
            Content({}),
            teams={},
            worker_id=None,
            scheduled_for=due,
            **more,
        ).delay

    assert delay(0) == pytest.approx(job.jitter, abs=2)
    assert delay(job.jitter - 10) == pytest.approx(10, abs=2)
    assert delay(job.jitter + 10) == 0
    assert delay(0, attempts=({"started_at": "2026-11-25T00:00:00.000Z"},)) == 0


def test_what_executions_wait_for_is_known_to_other_processes(
    job: Job, target: Target, settings: Any, monkeypatch: pytest.MonkeyPatch, browser: Any
) -> None:
    from executions.recording import worker

    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.05)
    settings.ENGINE_CONCURRENCY_PER_HOST, settings.METRICS_PUBLIC = 1, True
    submit(job, *[f"{target.url}/sleep?s=20"] * 3)
    submit(job, target.url + "/ok", delay=600)
    target.wait_for(1)
    expected = {"limit": 2, "jitter": 1, "budget": 0, "retry": 0, "turn": 0, "worker": 0}
    wait_until(lambda: queries.waits() == expected)
    assert 'cronsched_executions_waiting{reason="limit"} 2.0' in browser.get("/metrics").content.decode()
    waiting = browser.get("/admin/").context["board"]["health"]["waits"]
    assert ("a concurrency limit", 2) in waiting
    target.released.set()


def test_connections_are_opened_for_as_many_calls_as_may_be_made_at_once(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENGINE_CONCURRENCY, settings.ENGINE_CONCURRENCY_PER_HOST = 10, 4
    delivery = engine.local_engine()
    opened: list[tuple[str, int]] = []
    monkeypatch.setattr(delivery, "_open_ahead", lambda origin, count: opened.append((origin.host, count)))
    delivery.open_ahead({Origin(False, f"h{number}", 80, trusted=False): 3 + number for number in range(5)})
    wait_until(lambda: len(opened) == 3)
    assert opened == [("h0", 3), ("h1", 4), ("h2", 3)]


def test_an_outcome_waits_until_a_burst_was_submitted(
    job: Job, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.recording.unstored.LATEST_SECONDS", 3600.0)
    delivery = engine.local_engine()
    with delivery.burst():
        (execution,) = submit(job, target.url + "/ok")
        wait_until(lambda: execution.pk in delivery._recorder.pending())
        execution.refresh_from_db()
        assert execution.status == Status.RUNNING
    assert ended(execution).status == Status.SUCCESS
