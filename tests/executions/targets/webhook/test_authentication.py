"""How webhooks authenticate themselves."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from uuid import UUID, uuid4

import pytest

from executions.http.client import Request
from executions.http.connection import DeliveryError, Reply
from executions.targets.webhook.authentication import TokenRefused, Tokens, placeholder, proof, signature_headers
from settings_app.sent_secrets import Refused, Rights, StoredCredential


def credential(kind: str, **changes: Any) -> StoredCredential:
    values: dict[str, Any] = dict.fromkeys(StoredCredential._fields, "")
    rights = Rights("the webhook credential 'x'", ("api.example.com",), frozenset(), "users")
    return StoredCredential(**{**values, "id": uuid4(), "version": "1", "kind": kind, "rights": rights, **changes})


def test_the_published_vector_of_standard_webhooks() -> None:
    """standard-webhooks/standard-webhooks, libraries, "test sign function"."""
    headers = signature_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_sign_while_receivers_change_over() -> None:
    old, new = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    both = proof(credential("hmac", secret=new, previous_secret=old), UUID(int=1), b"{}", 1_800_000_000).headers
    first = proof(credential("hmac", secret=new), UUID(int=1), b"{}", 1_800_000_000).headers
    assert both["webhook-signature"].split(" ")[0] == first["webhook-signature"]
    assert len(both["webhook-signature"].split(" ")) == 2


def test_a_signing_secret_that_is_none() -> None:
    with pytest.raises(Refused, match="base64"):
        proof(credential("hmac", secret="whsec_???"), UUID(int=1), b"", 1_800_000_000)


@pytest.mark.parametrize(
    ("stored", "headers"),
    [
        (credential("basic", username="usér", secret="p:w"), {"Authorization": "Basic dXPDqXI6cDp3"}),
        (credential("bearer", secret="t0k"), {"Authorization": "Bearer t0k"}),
        (credential("header", header_name="X-Api-Key", secret="k"), {"X-Api-Key": "k"}),
        (credential("certificate"), {}),
    ],
)
def test_headers(stored: StoredCredential, headers: dict[str, str]) -> None:
    found = proof(stored, UUID(int=1), b"", 1_800_000_000)
    assert found.headers == headers
    assert all(shown == placeholder(stored) for _, shown in found.secrets)


def ask(replies: list[Any], times: int = 1, **more: Any) -> tuple[list[str], list[Request]]:
    """Ask for a token so many times at once; returns the tokens and the requests that were sent."""
    sent: list[Request] = []

    async def send(request: Request) -> Reply:
        sent.append(request)
        await asyncio.sleep(0)
        reply = replies[len(sent) - 1]
        if isinstance(reply, Exception):
            raise reply
        return Reply(*reply)

    stored = credential("oauth2", username="id", secret="se cret", token_url="https://a.example/t", scope="run")

    async def run() -> list[str]:
        tokens = Tokens()
        found = list(await asyncio.gather(*[tokens.token(stored, send) for _ in range(times)]))
        if more.get("again"):
            found.append(await tokens.token(stored, send, instead_of=found[-1]))
        return found

    return asyncio.run(run()), sent


def test_one_request_for_many_calls() -> None:
    tokens, sent = ask([(200, '{"access_token": "T", "expires_in": 3600}')], times=50)
    assert (set(tokens), len(sent)) == ({"T"}, 1)
    assert sent[0].headers["Authorization"] == "Basic " + base64.b64encode(b"id:se+cret").decode()
    assert sent[0].body == b"grant_type=client_credentials&scope=run"


def test_a_token_that_ends_soon_is_not_kept() -> None:
    answer = (200, '{"access_token": "T", "expires_in": 30}')
    _, sent = ask([answer, answer], times=2)
    assert len(sent) == 2


def test_a_refused_token_is_replaced() -> None:
    tokens, _ = ask([(200, '{"access_token": "A"}'), (200, '{"access_token": "B"}')], again=True)
    assert tokens == ["A", "B"]


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        ((401, '{"error": "invalid_client", "error_description": "se cret"}'), TokenRefused, "401, invalid_client"),
        ((200, "<html>"), TokenRefused, "without an access_token"),
        ((200, "[]"), TokenRefused, "without an access_token"),
        ((200, '{"access_token": "a\\nb"}'), TokenRefused, "cannot be sent in a header"),
        ((200, '{"access_token": 7}'), TokenRefused, "cannot be sent in a header"),
        ((200, '{"access_token": "T", "expires_in": "soon"}'), TokenRefused, "without an access_token"),
        ((503, ""), DeliveryError, "the token endpoint answered 503"),
        ((429, ""), DeliveryError, "the token endpoint answered 429"),
        (DeliveryError("no connection", "connect"), DeliveryError, "no connection"),
    ],
)
def test_endpoints_that_give_no_token(reply: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason) as caught:
        ask([reply])
    assert "se cret" not in str(caught.value)
