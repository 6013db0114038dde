"""Retries: which outcomes, how long after, until when; every attempt on record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from executions.delivery import engine
from executions.delivery.retry import RetryPolicy, reason, retry_after
from executions.models import Execution, Status
from executions.services import trigger_now
from executions.targets import Outcome
from jobs.models import Job
from tests.support.clock import HandClock
from tests.support.executions import ended
from tests.support.target import Arrival, Target, wait_until

EVERYTHING = frozenset({"connect", "timeout", "broken", "5xx", "429"})
FAILED = Outcome(False, 503)


class TestPolicy:
    def test_the_wait_doubles_give_or_take_a_fifth(self) -> None:
        policy = RetryPolicy(10, 10, 86_400, EVERYTHING)
        for attempt, middle in ((1, 10), (2, 20), (3, 40), (6, 320)):
            waits = [policy.wait(FAILED, attempt, 0) or 0 for _ in range(50)]
            assert all(0.8 * middle <= wait <= 1.2 * middle for wait in waits)
            assert len(set(waits)) > 10

    def test_attempts_and_deadline_end_it(self) -> None:
        policy = RetryPolicy(3, 10, 60, EVERYTHING)
        assert policy.wait(FAILED, 2, 0) is not None
        assert policy.wait(FAILED, 3, 0) is None
        assert policy.wait(FAILED, 1, 55) is None

    def test_retry_after_counts_when_it_is_longer(self) -> None:
        policy = RetryPolicy(3, 1, 3600, EVERYTHING)
        assert policy.wait(FAILED._replace(retry_after="120"), 1, 0) == 120
        assert (policy.wait(FAILED._replace(retry_after="0"), 1, 0) or 0) > 0
        assert policy.wait(FAILED._replace(retry_after="7200"), 1, 0) is None

    @pytest.mark.parametrize(
        ("outcome", "found"),
        [
            (Outcome(False, 500), "5xx"), (Outcome(False, 599), "5xx"), (Outcome(False, 429), "429"),
            (Outcome(False, 403, retry_after="5"), "429"),
            (Outcome(False, 403), ""), (Outcome(False, 404), ""), (Outcome(False, 302), ""),
            (Outcome(False, failure="connect"), "connect"),
            (Outcome(False, failure="timeout"), "timeout"), (Outcome(False, failure="timeout", repeatable=False), ""),
            (Outcome(False, 502, repeatable=False), ""),
        ],
    )  # fmt: skip
    def test_reasons(self, outcome: Outcome, found: str) -> None:
        assert reason(outcome) == found
        assert (RetryPolicy(2, 1, 60, EVERYTHING).wait(outcome, 1, 0) is not None) == bool(found)
        assert RetryPolicy(2, 1, 60, frozenset()).wait(outcome, 1, 0) is None

    def test_a_retry_after_may_be_a_date(self) -> None:
        with time_machine.travel(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), tick=False):
            assert retry_after(format_datetime(timezone.now() + dt.timedelta(seconds=90), usegmt=True)) == 90
            assert retry_after("Thu, 01 Jan 2025 00:00:00 GMT") == 0
        assert retry_after("soon") == 0


pytestmark = pytest.mark.django_db(transaction=True)


def failing(target: Target, times: int, status: int = 503, **headers: str) -> None:
    """The target refuses some calls, then takes one."""
    left = [times]

    def answer(_: Arrival) -> tuple[int, dict[str, str], bytes]:
        left[0] -= 1
        return (status, headers, b"busy") if left[0] >= 0 else (200, {}, b"at last")

    target.answers["/retry"] = answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr(engine, "new_clock", lambda: clock)
    return clock


def start(job: Job) -> Execution:
    assert job.created_by is not None
    return trigger_now(job.pk, {}, by=job.created_by)


def test_a_failed_call_is_tried_again_with_the_same_key(
    make_job: Callable[..., Job], target: Target, clock: HandClock
) -> None:
    failing(target, 1)
    execution = start(make_job(target_url=target.url + "/retry", max_attempts=3, retry_backoff_seconds=60))
    wait = clock.next_timer()
    assert 48 <= wait <= 72
    clock.advance(wait)
    execution = ended(execution)
    assert (execution.status, execution.output) == (Status.SUCCESS, "at last")
    assert [attempt["status"] for attempt in execution.attempts] == [503, 200]
    assert execution.attempts[0]["next_in_seconds"] == pytest.approx(wait, abs=0.01)
    assert {arrival.headers["Idempotency-Key"] for arrival in target.arrivals} == {str(execution.pk)}


def test_no_attempt_is_made_before_its_time(make_job: Callable[..., Job], target: Target, clock: HandClock) -> None:
    failing(target, 1)
    execution = start(make_job(target_url=target.url + "/retry", max_attempts=3, retry_backoff_seconds=60))
    clock.advance(clock.next_timer() - 0.01)
    assert clock.next_timer() == pytest.approx(0.01)
    assert len(target.arrivals) == 1
    clock.advance(0.01)
    assert ended(execution).status == Status.SUCCESS


def test_retry_after_is_honoured(make_job: Callable[..., Job], target: Target, clock: HandClock) -> None:
    failing(target, 1, 429, **{"Retry-After": "20"})
    execution = start(make_job(target_url=target.url + "/retry", max_attempts=2, retry_backoff_seconds=1))
    assert clock.next_timer() == pytest.approx(20)
    clock.advance(20)
    assert ended(execution).status == Status.SUCCESS


def test_attempts_are_on_record_while_it_waits(make_job: Callable[..., Job], target: Target, clock: HandClock) -> None:
    job = make_job(
        target_url=target.url + "/status/500", max_attempts=5, retry_backoff_seconds=3600, retry_deadline_seconds=86_400
    )
    execution = start(job)
    wait_until(lambda: len(Execution.objects.get(pk=execution.pk).attempts) == 1)
    assert Execution.objects.get(pk=execution.pk).status == Status.RUNNING


def test_what_is_not_retried_ends_at_once(make_job: Callable[..., Job], target: Target) -> None:
    for number, (path, on) in enumerate([("/status/404", ["5xx"]), ("/status/500", ["429"]), ("/reset", ["timeout"])]):
        job = make_job(
            name=f"job {number}", target_url=target.url + path, max_attempts=5, retry_backoff_seconds=1, retry_on=on
        )
        assert len(ended(start(job)).attempts) == 1


def test_a_dispatch_is_repeated_only_where_nothing_can_have_started(
    make_job: Callable[..., Job], target: Target, clock: HandClock, settings: Any
) -> None:
    settings.GITHUB_API_URL, settings.GITHUB_TOKEN = target.url, "token"
    path = "/repos/acme/shop/actions/workflows/ci.yml/dispatches"
    answers: list[tuple[int, dict[str, str], bytes]] = []
    target.answers[path] = lambda _: answers.pop(0)
    job = make_job(target_url="acme/shop/ci.yml", max_attempts=3, retry_backoff_seconds=1)
    answers[:] = [(502, {}, json.dumps({"message": "Server Error"}).encode())]
    execution = ended(start(job))
    assert (execution.status, len(execution.attempts), answers) == (Status.FAILED, 1, [])
