"""How a webhook authenticates itself: the headers that a credential adds to a request, and its certificates."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import orjson

from executions.http.client import Request
from executions.http.connect import Certificates
from executions.http.connection import DeliveryError
from executions.targets.base import Send
from settings_app.models import WebhookCredential
from settings_app.sent_secrets import Refused, StoredCredential

Kind = WebhookCredential.Kind
SECRET_PREFIX = "whsec_"  # noqa: S105
# A token is renewed this many seconds before its end.
_RENEW_BEFORE = 60.0
# RFC 6749 section 5.1 recommends `expires_in`; a token without it is kept for this many seconds.
_UNTOLD_SECONDS = 300.0
_LONGEST_TOKEN = 8192


class Proof(NamedTuple):
    """The headers that authenticate a request, and the secret texts in them with what is shown in their place."""

    headers: Mapping[str, str]
    secrets: tuple[tuple[str, str], ...] = ()


def certificates_of(credential: StoredCredential) -> Certificates | None:
    """The certificates of a credential; None without any."""
    if not credential.has_certificates:
        return None
    return Certificates(credential.client_certificate, credential.client_key, credential.ca_certificates)


def placeholder(credential: StoredCredential) -> str:
    """What stands for its secrets where a request is shown."""
    return f"{{{{ {credential.rights.label.removeprefix('the webhook ')} }}}}"


def proof(credential: StoredCredential, execution_id: UUID, body: bytes, at: int) -> Proof:
    """The headers of every kind but OAuth 2, for a call at a time (Unix time)."""
    kind, secret, name = credential.kind, credential.secret, placeholder(credential)
    if kind == Kind.BASIC:
        # RFC 7617: the pair in UTF-8.
        pair = base64.b64encode(f"{credential.username}:{secret}".encode()).decode()
        return Proof({"Authorization": f"Basic {pair}"}, _shown(name, pair, secret))
    if kind == Kind.BEARER:
        return Proof({"Authorization": f"Bearer {secret}"}, _shown(name, secret))
    if kind == Kind.HEADER:
        return Proof({credential.header_name: secret}, _shown(name, secret))
    if kind == Kind.HMAC:
        signing = [one for one in (secret, credential.previous_secret) if one]
        return Proof(signature_headers(signing, str(execution_id), at, body), _shown(name, *signing))
    return Proof({})


def _shown(name: str, *secrets: str) -> tuple[tuple[str, str], ...]:
    return tuple((secret, name) for secret in secrets if secret)


def signature_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks (specification, "Signature scheme"), with one signature for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(signing_key(secret), signed, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(signatures)}


@lru_cache(maxsize=1_000)
def signing_key(secret: str) -> bytes:
    """The key of a signing secret, `whsec_` and base64. Raises `Refused`."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("the signing secret is no base64: an admin stores a new one") from None


class TokenRefused(Exception):
    """A token endpoint that gives no token, and would not if it were asked again; the message says why."""


class Tokens:
    """The access tokens of OAuth 2 client credentials (RFC 6749 section 4.4), one for each credential.

    A token is used until 60 s before its end; calls that need a new one wait for one request.
    """

    def __init__(self) -> None:
        self._tokens: dict[tuple[UUID, str], tuple[float, str]] = {}
        self._waiting: dict[UUID, asyncio.Lock] = {}

    async def token(self, credential: StoredCredential, send: Send, *, instead_of: str = "") -> str:
        """A token, other than `instead_of`, which was refused. Raises `TokenRefused`, and `DeliveryError` for an
        endpoint that is down.
        """
        key = (credential.id, credential.version)
        kept = self._kept(key, instead_of)
        if kept:
            return kept
        async with self._waiting.setdefault(credential.id, asyncio.Lock()):
            kept = self._kept(key, instead_of)
            if kept:
                return kept
            token, seconds = await _asked(credential, send)
            self._tokens = {one: value for one, value in self._tokens.items() if one[0] != credential.id}
            self._tokens[key] = time.monotonic() + max(0.0, seconds - _RENEW_BEFORE), token
            return token

    def _kept(self, key: tuple[UUID, str], instead_of: str) -> str:
        until, token = self._tokens.get(key, (0.0, ""))
        return token if token and until > time.monotonic() and token != instead_of else ""


async def _asked(credential: StoredCredential, send: Send) -> tuple[str, float]:
    """A new token and its lifetime in seconds."""
    fields = {"grant_type": "client_credentials", "scope": credential.scope, "audience": credential.audience}
    # RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined.
    pair = f"{quote_plus(credential.username)}:{quote_plus(credential.secret)}"
    basic = base64.b64encode(pair.encode()).decode()
    request = Request(
        "POST",
        credential.token_url,
        {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        urlencode({name: value for name, value in fields.items() if value}).encode(),
        secrets=((basic, "{{ client }}"), (credential.secret, "{{ client_secret }}")),
        certificates=certificates_of(credential),
        keeps_answer=False,
    )
    reply = await send(request)
    if reply.status >= 500 or reply.status == 429:
        raise DeliveryError(f"the token endpoint answered {reply.status}")
    if reply.status != 200:
        raise TokenRefused(f"the token endpoint refused the client: status {reply.status}{_error_of(reply.text)}")
    try:
        answer = orjson.loads(reply.text)
        token, seconds = answer["access_token"], float(answer.get("expires_in") or _UNTOLD_SECONDS)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TokenRefused("the token endpoint answered without an access_token (RFC 6749 section 5.1)") from None
    if (
        not isinstance(token, str)
        or not (token.isascii() and token.isprintable())
        or not 0 < len(token) < _LONGEST_TOKEN
    ):
        raise TokenRefused("the token endpoint's access_token cannot be sent in a header")
    return token, seconds


def _error_of(text: str) -> str:
    """The `error` of RFC 6749 section 5.2, which is one of a few words."""
    try:
        error = orjson.loads(text)["error"]
    except (ValueError, TypeError, KeyError):
        return ""
    return f", {error}" if isinstance(error, str) and error.isascii() and error.isidentifier() else ""
