"""A request that is made before its fire time says what one that is made at the call says."""

from __future__ import annotations

import asyncio
import datetime as dt
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

pytestmark = pytest.mark.django_db(transaction=True)
CALL = Call(UUID(int=1), 1, dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "scheduled")
SECRET = "whsec_" + "a2V5" * 12


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
    monkeypatch.setattr("executions.targets.webhook.authentication.time.time", lambda: 1_800_000_000)
    credential = make_credential(**fields)
    plain = webhook(credential, url, headers={"X-Own": "mine"})
    prepared = plain.prepared(CALL)
    assert prepared.first and prepared.first.encoded
    assert credential.secret.encode() not in prepared.first.encoded.message
    request = sent(prepared)
    assert lines(request) == lines(sent(plain))
    assert credential.secret not in str(exchanges.shown(Exchanged(request)))


def test_a_signature_is_of_the_time_of_its_call(
    make_credential: Callable[..., WebhookCredential], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = webhook(make_credential(kind="hmac", secret=SECRET)).prepared(CALL)
    monkeypatch.setattr("executions.targets.webhook.authentication.time.time", lambda: 1_800_000_007)
    request = sent(prepared)
    assert request.headers["webhook-timestamp"] == "1800000007"
    assert request.encoded and b"webhook-timestamp: 1800000007\r\n" in request.encoded.message


def test_a_credential_with_certificates_is_left_to_the_call(make_credential: Callable[..., WebhookCredential]) -> None:
    credential = make_credential()
    prepared = webhook(credential).prepared(CALL)
    assert prepared.first and prepared.first.encoded
    WebhookCredential.objects.filter(pk=credential.pk).update(ca_certificates="x")
    sent_secrets.forget()
    assert sent(prepared).certificates is not None
    assert webhook(credential).prepared(CALL).first is None


def test_what_is_missing_is_told_by_the_call(make_credential: Callable[..., WebhookCredential]) -> None:
    credential = make_credential()
    gone = webhook(credential)
    WebhookCredential.objects.all().delete()
    assert gone.prepared(CALL).first is None
