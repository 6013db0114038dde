"""Work that ends later: its status address is asked until it is not 202."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from executions import backends, exchanges
from executions.completion.polls import Poller
from executions.delivery import engine
from executions.models import Execution, Poll, Status, Worker
from executions.recording.outcomes import Followed
from executions.recording.storage import store_followed
from executions.services import cancel
from executions.targets.base import Run
from settings_app.models import Secret, WebhookCredential
from tests.executions.completion.conftest import Begin
from tests.support.executions import left
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def other_target() -> Iterator[Target]:
    with Target() as server:
        yield server


@pytest.fixture
def poller() -> Poller:
    return Poller()


@pytest.fixture
def polled(poller: Poller) -> Callable[..., Execution]:
    """Asks at once, `times` times, and stores the answers."""

    def ask(execution: Execution, times: int = 1) -> Execution:
        for _ in range(times):
            Poll.objects.filter(pk=execution.pk).update(next_at=timezone.now())
            poller.poll()
            wait_until(lambda: all(asked.answer.done() for asked in poller._asked.values()))
            poller.poll()
        return Execution.objects.get(pk=execution.pk)

    return ask


def answers(target: Target, *given: Answer) -> None:
    """Give these answers at `/status` in turn, and the last one again and again."""
    left = list(given)
    target.answers["/status"] = lambda _: left.pop(0) if len(left) > 1 else left[0]


def next_in(execution: Execution) -> float:
    return (Poll.objects.get(pk=execution.pk).next_at - timezone.now()).total_seconds()


def test_it_is_asked_until_it_is_not_202(begin: Begin, target: Target, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/status?id=7", "Retry-After": "30"})
    assert (execution.status, execution.run_id) == ("running", 0)
    assert 28 < next_in(execution) <= 30
    answers(target, (202, {"Retry-After": "120"}, b""), (202, {}, b""), (200, {}, b"212 passed"))
    assert polled(execution).status == "running"
    assert 118 < next_in(execution) <= 120
    assert polled(execution).status == "running"
    assert 5 < next_in(execution) < 10
    execution = polled(execution)
    assert (execution.status, execution.response_status, execution.output) == ("success", 200, "212 passed")
    assert not Poll.objects.exists()
    assert [(one.method, one.path, one.query, one.body) for one in target.arrivals[1:]] == [
        ("GET", "/status", "id=7", b"")
    ] * 3


def test_the_last_answer_is_judged_like_a_call(begin: Begin, target: Target, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/status"}, success_body='/state = "done"')
    answers(target, (200, {"Content-Type": "application/json"}, b'{"state": "broken"}'))
    execution = polled(execution)
    assert execution.status == "failed"
    assert "broken" in execution.error_message


def test_a_new_location_is_asked_from_then_on(begin: Begin, target: Target, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/status"})
    answers(target, (202, {"Location": "/later"}, b""))
    polled(execution, times=2)
    assert [one.path for one in target.arrivals] == ["/work", "/status", "/later"]
    assert Execution.objects.get(pk=execution.pk).status == "success"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_cannot_say_is_asked_again(
    begin: Begin, target: Target, polled: Callable[..., Execution], status: int
) -> None:
    execution = begin("poll", {"Location": "/status"})
    answers(target, (status, {"Retry-After": "7"}, b""), (200, {}, b""))
    assert polled(execution).status == "running"
    assert 5 < next_in(execution) <= 7
    assert str(status) in Poll.objects.get(pk=execution.pk).problem
    assert polled(execution).status == "success"


def test_no_answer_is_asked_again_and_a_refused_address_is_not(
    begin: Begin, target: Target, polled: Callable[..., Execution]
) -> None:
    execution = begin("poll", {"Location": f"{target.url}/close"})
    assert polled(execution).status == "running"
    assert Poll.objects.get(pk=execution.pk).problem
    execution = begin("poll", {"Location": "http://169.254.169.254/latest"})
    execution = polled(execution)
    assert (execution.status, execution.error_message) == (
        "failed",
        "the address 169.254.169.254 is not allowed as a target",
    )


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/", "http://[", "javascript:alert(1)"])
def test_a_202_without_an_address_fails(begin: Begin, location: str) -> None:
    execution = begin("poll", {"Location": location} if location else {})
    assert execution.status == "failed"
    assert "without a Location" in execution.error_message


def test_the_credential_goes_to_the_same_origin_only(
    begin: Begin, target: Target, polled: Callable[..., Execution], other_target: Target
) -> None:
    WebhookCredential.objects.create(name="api", kind="bearer", secret="t0p-s3cret", allowed_hosts="127.0.0.1")
    Secret.objects.create(name="KEY", value="k3y-value", allowed_hosts="127.0.0.1")
    fields = {"webhook_credential": "api", "templated": True, "headers": {"X-Key": "{{ secret.KEY }}"}}
    execution = begin("poll", {"Location": "/status"}, **fields)
    answers(target, (200, {}, b""))
    assert polled(execution).status == "success"
    assert target.arrivals[-1].headers["Authorization"] == "Bearer t0p-s3cret"
    execution = begin("poll", {"Location": f"{other_target.url}/ok?k3y-value"}, **fields)
    # The address may hold what the request's secrets are.
    assert "k3y-value" not in _stored_address()
    assert polled(execution).status == "success"
    assert not {"Authorization", "X-Key"} & set(other_target.arrivals[0].headers)


def _stored_address() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT url FROM executions_poll")
        return str(cursor.fetchall())


def test_a_hanging_address_delays_no_other(begin: Begin, target: Target, poller: Poller) -> None:
    hanging = begin("poll", {"Location": "/hang"})
    other = begin("poll", {"Location": "/ok"})
    Poll.objects.update(next_at=timezone.now())

    def poll() -> bool:
        poller.poll()
        return Execution.objects.get(pk=other.pk).status == "success"

    wait_until(poll)
    assert Execution.objects.get(pk=hanging.pk).status == "running"


def test_another_leader_goes_on(begin: Begin, target: Target) -> None:
    execution = begin("poll", {"Location": "/ok"})
    Poll.objects.update(next_at=timezone.now())
    successor = Poller()

    def poll() -> bool:
        successor.poll()
        return Execution.objects.get(pk=execution.pk).status == "success"

    wait_until(poll)


def test_a_cancelled_one_is_no_longer_asked(
    begin: Begin, target: Target, polled: Callable[..., Execution], admin: Any
) -> None:
    execution = begin("poll", {"Location": "/status"})
    cancel(execution.pk, by=admin)
    assert polled(execution).status == Status.CANCELLED
    assert (target.paths(), Poll.objects.count()) == (["/work"], 0)


def test_the_record_is_of_the_last_call(begin: Begin, target: Target, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/status"})
    answers(target, (500, {}, b"boom"))
    execution = polled(execution)
    record = exchanges.of(execution.pk)
    assert record is not None
    assert (record["request"]["method"], record["answer"]["status"], record["answer"]["body"]) == ("GET", 500, "boom")


def test_an_edit_of_the_job_ends_no_poll(begin: Begin, target: Target, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/status"})
    execution.job.__class__.objects.filter(pk=execution.job_id).update(completion="response")
    answers(target, (202, {}, b"goes on"), (200, {}, b""))
    assert polled(execution).status == "running"
    assert polled(execution).status == "success"


def test_a_relative_location_is_of_whom_the_redirect_led_to(
    begin: Begin, target: Target, polled: Callable[..., Execution], other_target: Target
) -> None:
    other_target.answers["/v2/jobs/"] = lambda _: (202, {"Location": "7"}, b"")
    other_target.answers["/v2/jobs/7"] = lambda _: (200, {}, b"")
    execution = begin("poll", {"Location": f"{other_target.url}/v2/jobs/"}, status=307, redirects="follow")
    assert polled(execution).status == "success"
    assert other_target.paths() == ["/v2/jobs/", "/v2/jobs/7"]


def test_a_row_that_cannot_be_read_stops_no_other(
    begin: Begin, target: Target, polled: Callable[..., Execution]
) -> None:
    broken, unreadable, good = (begin("poll", {"Location": "/ok"}) for _ in range(3))
    Execution.objects.filter(pk=broken.pk).update(overrides={"rendered": 7})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE executions_poll SET url = 'not encrypted' WHERE execution_id = %s", [unreadable.pk.hex])
    Poll.objects.update(next_at=timezone.now())
    assert polled(good).status == "success"
    assert [Execution.objects.get(pk=one.pk).status for one in (broken, unreadable)] == ["failed"] * 2


def test_a_host_is_asked_ten_at_a_time(begin: Begin, target: Target, poller: Poller) -> None:
    execution = begin("poll", {"Location": "/hang"})
    for _ in range(15):
        again = left(execution.job, run_id=0, target=execution.target)
        Poll.objects.create(execution=again, url=f"{target.url}/hang", next_at=timezone.now(), wait_seconds=5)
    target.arrivals.clear()
    poller.poll()
    poller.poll()
    target.wait_for(10)
    assert len(target.arrivals) == len(poller._asked) == 10


def test_a_shutdown_waits_for_no_status_address(begin: Begin, target: Target, poller: Poller) -> None:
    begin("poll", {"Location": "/hang"})
    Poll.objects.update(next_at=timezone.now())
    poller.poll()
    target.wait_for(2)
    (asked,) = poller._asked.values()
    backends.shut_down()
    assert asked.answer.done()


def test_polls_make_no_process_a_worker(begin: Begin, polled: Callable[..., Execution]) -> None:
    execution = begin("poll", {"Location": "/ok"})
    engine.shutdown_local_engine(0)
    assert polled(execution).status == "success"
    assert not Worker.objects.exists()


def test_a_poll_without_its_execution_goes(begin: Begin, poller: Poller) -> None:
    execution = begin("poll", {"Location": "/ok"})
    Execution.objects.filter(pk=execution.pk).delete()
    Poll.objects.create(execution_id=execution.pk, url="http://x/", next_at=timezone.now(), wait_seconds=5)
    poller.poll()
    assert not Poll.objects.exists()


def test_who_lost_an_execution_adds_no_poll(begin: Begin) -> None:
    execution = begin("poll", {"Location": "/ok"})
    Poll.objects.all().delete()
    Execution.objects.filter(pk=execution.pk).update(worker_id=uuid4(), run_id=None)
    run = Run(0, "", "http://127.0.0.1:1/")
    store_followed([Followed(execution.pk, uuid4(), run, 202, "", execution.target, [])])
    assert not Poll.objects.exists()
