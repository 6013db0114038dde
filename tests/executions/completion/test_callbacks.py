"""Work that ends later: its receiver tells the end."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.core import signing
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.models import User
from core.runtime.logs import Human
from core.runtime.signed_addresses import CALLBACKS
from executions import exchanges
from executions.delivery import engine
from executions.models import Execution, Report, Status
from executions.recovery import recover, rescue
from executions.retention import delete_long_histories, prune
from executions.services import cancel, trigger_now
from executions.targets.webhook import callback
from jobs.models import Job, SecretUse
from notifications.models import Event
from notifications.outcomes import notify_pending
from settings_app.models import Secret
from tests.executions.completion.conftest import Begin
from tests.support.executions import ended
from tests.support.target import Arrival, Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
MakeJob = Callable[..., Job]
Tell = Callable[..., Any]


def test_202_is_running_without_a_worker_or_a_slot(begin: Begin, target: Target) -> None:
    execution = begin()
    assert (execution.status, execution.response_status, execution.worker_id) == (Status.RUNNING, 202, None)
    assert engine.local_engine().known() == set()
    assert recover() == rescue() == 0
    (arrival,) = target.arrivals
    assert arrival.headers[callback.HEADER].endswith(f"/api/v2/callbacks/{callback.token_of(execution.pk)}")


def test_the_address_that_was_sent_takes_the_end(begin: Begin, target: Target, live_server: Any, settings: Any) -> None:
    settings.PUBLIC_URL = live_server.url
    execution = begin()
    answer = requests.post(
        target.arrivals[0].headers[callback.HEADER],
        json={"status": "success", "message": "212 tests", "counts": {"passed": 212, "failed": 0}},
        timeout=5,
    )
    assert (answer.status_code, answer.json()) == (200, {"message": "Recorded", "status": "success"})
    execution.refresh_from_db()
    assert (execution.status, execution.output, execution.job.last_status) == ("success", "212 tests", "success")
    assert len(execution.attempts) == 1


def test_progress_and_failure(begin: Begin, tell: Tell, api: APIClient) -> None:
    execution = begin()
    assert tell(execution, status="progress", message="half", counts={"passed": 3}).json()["status"] == "running"
    shown = api.get(f"/api/v2/executions/{execution.pk}").json()
    assert (shown["execution"]["status"], shown["report"]["message"], shown["report"]["counts"]) == (
        "running",
        "half",
        {"passed": 3},
    )
    end = {"status": "failed", "message": "login broke", "url": "https://ci.example/7"}
    assert tell(execution, **end).json()["status"] == "failed"
    execution.refresh_from_db()
    assert execution.error_message == "Its receiver says that it failed: login broke"
    assert execution.output == "begun"
    report = Report.objects.get(pk=execution.pk)
    assert (report.counts, report.url) == ({"passed": 3}, "https://ci.example/7")
    notify_pending()
    assert Event.objects.filter(execution_id=execution.pk).values_list("title", flat=True).get() == "Job Failed"


def test_the_first_end_wins(begin: Begin, tell: Tell) -> None:
    execution = begin()
    end = {"status": "success", "message": "done", "counts": {"passed": 1}}
    assert [tell(execution, **end).status_code for _ in range(3)] == [200] * 3
    for other in ({"status": "failed"}, {**end, "message": "again"}, {**end, "counts": {"passed": 2}}):
        answer = tell(execution, **other)
        assert (answer.status_code, answer.json()["error"]) == (409, "Execution already ended")
    assert tell(execution, status="progress").status_code == 409
    execution.refresh_from_db()
    assert execution.output == "done"


def test_many_ends_at_once_are_one(begin: Begin, tell: Tell) -> None:
    execution = begin()
    statuses: list[int] = []

    def post(number: int) -> None:
        statuses.append(tell(execution, status="failed" if number % 2 else "success").status_code)
        connection.close()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 4 + [409] * 4
    notify_pending()
    assert Event.objects.filter(execution_id=execution.pk).count() == 1


def test_a_callback_may_come_before_the_answer(make_job: MakeJob, target: Target, admin: User, tell: Tell) -> None:
    def work(arrival: Arrival) -> tuple[int, dict[str, str], bytes]:
        answer = tell(arrival.headers[callback.HEADER].rpartition("/")[2], status="success", message="quick")
        connection.close()
        return 202, {}, str(answer.status_code).encode()

    target.answers["/work"] = work
    job = make_job(target_url=f"{target.url}/work", completion="callback")
    execution = ended(trigger_now(job.pk, {}, by=admin))
    assert (execution.status, execution.output) == ("success", "quick")
    # The call is on record although the execution had ended before it did.
    wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts)
    record = exchanges.of(execution.pk)
    assert record is not None
    assert (record["answer"]["status"], record["answer"]["body"]) == (202, "200")


def test_no_call_is_repeated_after_the_end(make_job: MakeJob, target: Target, admin: User, tell: Tell) -> None:
    def work(arrival: Arrival) -> tuple[int, dict[str, str], bytes]:
        tell(arrival.headers[callback.HEADER].rpartition("/")[2], status="success")
        connection.close()
        return 503, {}, b""

    target.answers["/work"] = work
    job = make_job(
        target_url=f"{target.url}/work",
        completion="callback",
        max_attempts=3,
        retry_backoff_seconds=1,
        retry_on=["5xx"],
    )
    execution = ended(trigger_now(job.pk, {}, by=admin))
    wait_until(lambda: not engine.local_engine().known())
    assert (execution.status, len(target.arrivals)) == ("success", 1)


@pytest.mark.parametrize("status", [200, 204, 500])
def test_every_other_answer_ends_it_at_once(
    make_job: MakeJob, target: Target, admin: User, tell: Tell, status: int
) -> None:
    job = make_job(target_url=f"{target.url}/status/{status}", completion="callback")
    execution = ended(trigger_now(job.pk, {}, by=admin))
    assert execution.status == ("failed" if status == 500 else "success")
    assert tell(execution, status="success").status_code == 409


def test_a_cancelled_one_takes_no_end(begin: Begin, tell: Tell, admin: User) -> None:
    execution = begin()
    cancel(execution.pk, by=admin)
    answer = tell(execution, status="success")
    assert (answer.status_code, answer.json()["error"]) == (409, "Execution already ended")
    assert "It has ended with the status 'cancelled'." in answer.json()["message"]


def test_it_outlives_a_restart(begin: Begin, tell: Tell) -> None:
    execution = begin()
    engine.shutdown_local_engine(0)
    assert recover() == 0
    assert tell(execution, status="success").status_code == 200
    execution.refresh_from_db()
    assert (execution.status, len(execution.attempts)) == ("success", 1)


def test_a_forged_address_is_refused(begin: Begin, tell: Tell) -> None:
    mine, someone = str(begin().pk), str(uuid4())
    elsewhere = signing.Signer(salt="console.feed", sep=".").sign(mine)
    no_id = signing.Signer(salt="executions.callback", sep=".").sign("no id")
    for token in ("x", mine, f"{mine}.x", f"{someone}.x", elsewhere, no_id):
        answer = tell(token, status="success")
        assert (answer.status_code, answer.json()["error"]) == (403, "Invalid callback")


def test_an_address_is_for_its_execution_alone(begin: Begin, tell: Tell) -> None:
    one, other = begin(), begin()
    signature = callback.token_of(one.pk).partition(".")[2]
    assert tell(f"{other.pk}.{signature}", status="success").status_code == 403
    Execution.objects.filter(pk=one.pk).delete()
    assert tell(one, status="success").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "done"}, "status"),
        ({"status": ["success"]}, "status"),
        ({"status": "success", "message": 1}, "message"),
        ({"status": "success", "counts": [1]}, "counts"),
        ({"status": "success", "counts": {"passed": "1"}}, "counts.passed"),
        ({"status": "success", "counts": {"passed": True}}, "counts.passed"),
        ({"status": "success", "counts": {"passed": -1}}, "counts.passed"),
        ({"status": "success", "counts": {"passed": 2**31}}, "counts.passed"),
        ({"status": "success", "counts": {"": 1}}, "counts"),
        ({"status": "success", "counts": {str(number): 1 for number in range(21)}}, "counts"),
        ({"status": "success", "url": "javascript:alert(1)"}, "url"),
        ({"status": "success", "url": f"https://ci.example/{'x' * 2048}"}, "url"),
    ],
)
def test_bad_bodies_change_nothing(begin: Begin, tell: Tell, body: dict[str, Any], field: str) -> None:
    execution = begin()
    answer = tell(execution, **body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    execution.refresh_from_db()
    assert (execution.status, Report.objects.count()) == ("running", 0)


def test_a_megabyte_is_refused(begin: Begin, tell: Tell) -> None:
    assert tell(begin(), status="success", message="x" * 1_000_000).status_code == 413


def test_a_long_message_is_cut_rather_than_lost(begin: Begin, tell: Tell) -> None:
    execution = begin()
    assert tell(execution, status="failed", message="日" * 3000).status_code == 200
    assert Report.objects.get(pk=execution.pk).message == "日" * 999 + "…"


@given(
    body=st.dictionaries(
        st.sampled_from(["status", "message", "counts", "url", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        )
        | st.sampled_from(["success", "failed", "progress"]),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_breaks_it(make_job: MakeJob, body: dict[str, Any]) -> None:
    execution = Execution.objects.create(
        job=Job.objects.first() or make_job(target_url="http://127.0.0.1:1/", completion="callback"),
        trigger_type="manual",
        execution_type="webhook",
        target="http://127.0.0.1:1/",
        run_id=0,
    )
    path = f"{CALLBACKS}{callback.token_of(execution.pk)}"
    answer = APIClient().generic("POST", path, json.dumps(body), content_type="application/json")
    assert answer.status_code in {200, 400}
    execution.refresh_from_db()
    assert (execution.status == "running") is (answer.status_code == 400 or body["status"] == "progress")


def test_nothing_tells_a_secret(begin: Begin, tell: Tell, target: Target, browser: Any) -> None:
    Secret.objects.create(name="KEY", value="s3cr3t-value", allowed_hosts="127.0.0.1")
    execution = begin(templated=True, query={"key": "{{ secret.KEY }}"})
    assert target.arrivals[0].query == "key=s3cr3t-value"
    tell(
        execution, status="failed", message="bad s3cr3t-value", url="https://ci.example/?k=s3cr3t%2Dvalue&s3cr3t-value"
    )
    execution.refresh_from_db()
    report = Report.objects.get(pk=execution.pk)
    assert "s3cr3t-value" not in execution.error_message + report.message + report.url
    # The address of the callback is the proof of who calls: it is not on record either.
    record = json.dumps(exchanges.of(execution.pk))
    assert callback.token_of(execution.pk) not in record
    assert callback.HEADER in record
    page = browser.get(f"/admin/executions/execution/{execution.pk}/change/").content.decode()
    assert callback.token_of(execution.pk) not in page
    assert "s3cr3t-value" not in page


def test_what_was_told_goes_with_its_execution(begin: Begin, tell: Tell, settings: Any) -> None:
    settings.EXECUTIONS_KEPT_SUCCESS = 1
    job = begin().job
    for _ in range(3):
        execution = ended_by(tell, begin_again(job))
    assert prune() == 2
    assert [report.pk for report in Report.objects.all()] == [execution.pk]
    Job.with_deleted.filter(pk=job.pk).update(deleted_at=execution.started_at)
    delete_long_histories()
    assert not Report.objects.exists()


def begin_again(job: Job) -> Execution:
    execution = trigger_now(job.pk, {}, by=job.created_by)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).worker_id is None)
    return execution


def ended_by(tell: Tell, execution: Execution) -> Execution:
    assert tell(execution, status="success", counts={"passed": 1}).status_code == 200
    return execution


def test_a_secret_is_hidden_before_a_message_is_cut(begin: Begin, tell: Tell) -> None:
    Secret.objects.create(name="KEY", value="s3cr3t-value", allowed_hosts="127.0.0.1")
    execution = begin(templated=True, query={"key": "{{ secret.KEY }}"})
    tell(execution, status="failed", message="x" * 993 + "s3cr3t-value")
    report = Report.objects.get(pk=execution.pk)
    assert "s3cr" not in report.message
    assert len(report.message) == 1000


def test_a_secret_that_is_gone_leaves_the_others_hidden(begin: Begin, tell: Tell) -> None:
    for name, value in (("KEY", "s3cr3t-value"), ("GONE", "g0ne-value")):
        Secret.objects.create(name=name, value=value, allowed_hosts="127.0.0.1")
    execution = begin(templated=True, query={"key": "{{ secret.KEY }}", "gone": "{{ secret.GONE }}"})
    SecretUse.objects.all().delete()
    Secret.objects.filter(name="GONE").delete()
    tell(execution, status="failed", message="bad s3cr3t-value")
    assert "s3cr3t-value" not in Report.objects.get(pk=execution.pk).message


def test_an_address_that_is_told_is_hidden(begin: Begin, tell: Tell, target: Target) -> None:
    execution = begin()
    address = target.arrivals[0].headers[callback.HEADER]
    tell(execution, status="progress", message=f"see {address}", url=address)
    report = Report.objects.get(pk=execution.pk)
    assert callback.token_of(execution.pk) not in report.message + report.url


def test_no_log_line_holds_an_address(begin: Begin, tell: Tell, capsys: Any, monkeypatch: Any) -> None:
    execution = begin()

    def fail(*_: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("executions.completion.reports._read", fail)
    handler = logging.StreamHandler(lines := io.StringIO())
    handler.setFormatter(Human("{message}", style="{"))
    logging.getLogger("django.request").addHandler(handler)
    try:
        assert APIClient(raise_request_exception=False).post(
            f"{CALLBACKS}{callback.token_of(execution.pk)}", {"status": "success"}, format="json"
        ).status_code in {500, 503}
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert CALLBACKS in lines.getvalue()
    assert callback.token_of(execution.pk) not in lines.getvalue()


def test_a_viewer_reads_no_query_of_a_link(
    begin: Begin, tell: Tell, api: APIClient, client_of: Callable[..., APIClient], viewer: User
) -> None:
    execution = begin()
    tell(execution, status="failed", url="https://ci.example/7?key=k3y")
    path = f"/api/v2/executions/{execution.pk}"
    assert api.get(path).json()["report"]["url"] == "https://ci.example/7?key=k3y"
    assert "k3y" not in client_of(viewer).get(path).content.decode()


def test_a_link_and_counts_hold_until_others_are_told(begin: Begin, tell: Tell) -> None:
    execution = begin()
    tell(execution, status="progress", message="half", counts={"passed": 1}, url="https://ci.example/7")
    for _ in range(2):
        assert tell(execution, status="success").status_code == 200
    report = Report.objects.get(pk=execution.pk)
    assert (report.message, report.counts, report.url) == ("", {"passed": 1}, "https://ci.example/7")


def test_what_is_stored_by_hand_does_not_keep_the_end_away(begin: Begin, tell: Tell) -> None:
    execution = begin()
    Execution.objects.filter(pk=execution.pk).update(overrides=[1], target="no url")
    assert tell(execution, status="success").status_code == 200
