"""A request that is made before its fire time says what one that is made at the call says."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from executions import exchanges
from executions.exchanges import Exchanged
from executions.http.client import Request, encoded
from executions.http.connection import Reply
from executions.targets.base import Call
from executions.targets.webhook.call import Plan, Webhook
from jobs.content import Content
from settings_app import sent_secrets
from settings_app.models import WebhookCredential
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
CALL = Call(UUID(int=1), 1, dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "scheduled")
FIRE_TIME = int(dt.datetime(2026, 11, 24, tzinfo=dt.UTC).timestamp())
SECRET = "whsec_" + "a2V5" * 12


def at_fire_time(monkeypatch: pytest.MonkeyPatch, *, later: int = 0) -> None:
    monkeypatch.setattr("executions.targets.webhook.call.time.time", lambda: FIRE_TIME + later)


async def never(request: Request) -> Reply:
    raise AssertionError("nothing may be sent")


def webhook(credential: WebhookCredential | None, url: str = "https://127.0.0.1/x", **content: Any) -> Webhook:
    whole = Content({"a": 1}, **content)
    plan = Plan(credential_id=credential.pk if credential else None)
    return Webhook(url, whole, plan, is_whole=True)


def sent(one: Webhook) -> Request:
    """The request of the call, as it is handed to the client."""
    requests: list[Request] = []

    async def send(request: Request) -> Reply:
        requests.append(request)
        return Reply(200, "")

    assert asyncio.run(one.deliver(send, CALL)).ok
    return requests[0]


def lines(request: Request) -> tuple[bytes, list[bytes], bytes]:
    """The request line, the header lines in any order, and the body, as they are sent."""
    head, _, body = (request.encoded or encoded(request)).message.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return first, sorted(headers), body


@pytest.mark.parametrize("fields", [
    {"kind": "bearer"},
    {"kind": "basic", "username": "u"},
    {"kind": "hmac", "secret": SECRET},
    {"kind": "header", "header_name": "X-Key"},
    {"kind": "header", "header_name": "user-agent"},
    {"kind": "header", "header_name": "x-own"},
])  # fmt: skip
@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://user:pw@127.0.0.1/x?a=b"])
def test_the_bytes_are_those_of_the_call(
    fields: dict[str, str], url: str, make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_fire_time(monkeypatch)
    credential = make_credential(**fields)
    plain = webhook(credential, url, headers={"X-Own": "mine"})
    prepared = plain.prepared(CALL)
    assert prepared.signed and prepared.signed.request.encoded
    request = sent(prepared)
    assert request is prepared.signed.request
    assert lines(request) == lines(sent(plain))
    assert credential.secret not in str(exchanges.shown(Exchanged(request)))


def test_a_late_call_is_signed_anew(
    make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a jitter, or a wait for a limit."""
    prepared = webhook(make_credential(kind="hmac", secret=SECRET)).prepared(CALL)
    at_fire_time(monkeypatch, later=5)
    assert sent(prepared).headers["webhook-timestamp"] == str(FIRE_TIME)
    at_fire_time(monkeypatch, later=61)
    request = sent(prepared)
    assert request.headers["webhook-timestamp"] == str(FIRE_TIME + 61)


@pytest.mark.parametrize(
    "change",
    [{"secret": "whsec_" + "bmV3" * 12}, {"allowed_hosts": "other.example.com"}],
    ids=["secret", "hosts"],
)
def test_a_credential_that_was_changed_since_counts(
    make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    at_fire_time(monkeypatch)
    credential = make_credential(kind="hmac", secret=SECRET)
    prepared = webhook(credential).prepared(CALL)
    assert prepared.signed
    before = prepared.signed.request.headers["webhook-signature"]
    WebhookCredential.objects.filter(pk=credential.pk).update(**change)
    sent_secrets.forget()
    if "secret" in change:
        assert sent(prepared).headers["webhook-signature"] != before
    else:
        outcome = asyncio.run(prepared.deliver(never, CALL))
        assert "may not be sent to" in outcome.error


def test_no_call_waits_until_the_use_of_its_credential_is_noted(
    make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while somebody else writes: SQLite lets one write at a time."""
    at_fire_time(monkeypatch)
    prepared = webhook(make_credential(kind="hmac", secret=SECRET)).prepared(CALL)
    may_write, note_use = threading.Event(), sent_secrets._note_use
    monkeypatch.setattr(sent_secrets, "_note_use", lambda rows: may_write.wait(30) and note_use(rows))
    assert sent(prepared)
    assert WebhookCredential.objects.get().last_used_at is None
    may_write.set()
    wait_until(lambda: WebhookCredential.objects.get().last_used_at)


def test_credentials_in_use_are_read_again_before_they_are_too_old(
    make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [make_credential().pk]
    now = 1000.0
    monkeypatch.setattr("settings_app.sent_secrets.time.monotonic", lambda: now)
    assert sent_secrets.need_renewal(keys)
    assert not sent_secrets.need_renewal(keys)
    now += 2
    assert sent_secrets.need_renewal(keys)
    sent_secrets.renew(keys)
    WebhookCredential.objects.update(secret="newer")
    now += 2
    assert sent_secrets.need_renewal(keys)
    sent_secrets.renew(keys)
    now += 3
    assert (sent_secrets.known(keys) or {})[keys[0]].secret == "newer"
    WebhookCredential.objects.all().delete()
    sent_secrets.renew(keys)


def test_a_credential_with_certificates_is_left_to_the_call(make_credential: Callable[..., WebhookCredential]) -> None:
    credential = make_credential()
    prepared = webhook(credential).prepared(CALL)
    assert prepared.signed
    WebhookCredential.objects.filter(pk=credential.pk).update(ca_certificates="x")
    sent_secrets.forget()
    assert sent(prepared).certificates is not None
    assert webhook(credential).prepared(CALL).signed is None


def test_what_is_missing_is_told_by_the_call(make_credential: Callable[..., WebhookCredential]) -> None:
    credential = make_credential()
    gone = webhook(credential)
    WebhookCredential.objects.all().delete()
    assert (gone.prepared(CALL).first, gone.prepared(CALL).signed) == (None, None)
