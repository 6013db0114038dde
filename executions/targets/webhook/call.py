"""The call of a webhook: its request, its redirects, and what the answer means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings
from django.db import DatabaseError
from yarl import URL

from core.runtime import tracing
from executions.http.client import Encoded, Request, encoded
from executions.http.connect import Origin
from executions.http.connection import KEPT_BYTES, Reply
from executions.models import WITHOUT_NUMBER
from executions.targets.base import Call, Outcome, Run, Send
from executions.targets.lookup import later, looked_up
from executions.targets.webhook import authentication, callback
from executions.targets.webhook.authentication import Proof, TokenRefused, Tokens
from executions.targets.webhook.request import (
    add_headers,
    authenticated,
    form_fields,
    redirected,
    require_values,
    with_query,
)
from jobs import success_rules
from jobs.content import Content
from jobs.models import Job
from jobs.request_fields import Body, Completion, Method, Redirects
from jobs.success_rules import ANY_2XX, Criteria
from jobs.templating import language
from jobs.templating.times import rfc3339
from settings_app import sent_secrets
from settings_app.sent_secrets import Refused, StoredCredential, StoredSecret

_MOST_REDIRECTS = 5
# RFC 9110 section 15.3.3, and RFC 7240 section 4.1 for the Location of the status.
_ACCEPTED = 202
# Members of enumerations are slow to look up, and each call asks for them.
_AUTO = Method.AUTO.value
_NONE, _TEXT, _FORM = Body.NONE.value, Body.TEXT.value, Body.FORM.value
_AT_ONCE, _BY_CALLBACK, _BY_POLL = Completion.RESPONSE.value, Completion.CALLBACK.value, Completion.POLL.value
_WITHOUT_BODY = frozenset([Method.GET.value, Method.HEAD.value])
_MOST_LOOK_UPS = 10_000
_LookUps = dict[tuple[str | UUID, ...], asyncio.Lock]
_look_ups: WeakKeyDictionary[asyncio.AbstractEventLoop, _LookUps] = WeakKeyDictionary()
_tokens: WeakKeyDictionary[asyncio.AbstractEventLoop, Tokens] = WeakKeyDictionary()


class Plan(NamedTuple):
    """What a job says about its calls and answers beside the content."""

    follows: bool = False
    criteria: Criteria = ANY_2XX
    credential_id: UUID | None = None
    completion: str = _AT_ONCE


PLAIN = Plan()


def plan_of(job: Job) -> Plan:
    """What a job says about its request. Raises `ValueError` for rules that cannot be read."""
    return _plan(job.redirects, job.success_status, job.success_body, job.webhook_credential_id, job.completion)


@lru_cache(maxsize=2_000)
def _plan(redirects: str, success_status: str, success_body: str, credential_id: UUID | None, completion: str) -> Plan:
    # Thousands of jobs have the same.
    criteria = success_rules.criteria(success_status, success_body)
    return Plan(redirects == Redirects.FOLLOW, criteria, credential_id, completion)


class Sealed(NamedTuple):
    """The secrets of a call: by name, and the credential."""

    secrets: Mapping[str, StoredSecret]
    credential: StoredCredential | None = None


class Signed(NamedTuple):
    """A request with the headers of its credential, made for a call at a time (Unix time)."""

    request: Request
    credential: StoredCredential
    at: int


UNSEALED = Sealed({})
# Receivers take a signature whose time is five minutes off at most (Standard Webhooks).
_SIGNED_FOR_SECONDS = 60
KIND = "webhook"


class Webhook(NamedTuple):
    """The calls of one execution. `always_post`: use POST even without metadata, as test runs do. `names`: of the
    secrets in the content. `is_whole`: nothing is put into the content when a call is made. `first`: the request of the
    first attempt, if it was made before; `signed`: the same with the headers of its credential.
    """

    url: str
    content: Content
    plan: Plan = PLAIN
    job_id: UUID | None = None
    team_id: UUID | None = None
    always_post: bool = False
    names: frozenset[str] = frozenset()
    is_whole: bool = False
    first: Request | None = None
    signed: Signed | None = None

    @property
    def repeatable(self) -> bool:
        return True

    @property
    def asks_first(self) -> bool:
        # The receiver may have told the end before the call that began the work was answered.
        return self.plan.completion != _AT_ONCE

    @property
    def kind(self) -> str:
        return KIND

    async def deliver(self, send: Send, call: Call) -> Outcome:
        try:
            whole, reply = await self._called(send, call)
        except (Refused, TokenRefused) as exc:
            return Outcome(False, error=str(exc), repeatable=False)
        return self._outcome(reply, whole)

    async def _called(self, send: Send, call: Call) -> tuple[Request, Reply]:
        """The request that was made last, and the reply. Raises `Refused`, `TokenRefused`."""
        if call.attempt == 1:
            if self.first and self.plan.credential_id is None:
                return await self._answer(send, self.first)
            if self.signed and await self._holds(self.signed):
                return await self._answer(send, self.signed.request)
        sealed = await self._sealed()
        request = self._first(call, sealed) or self.request(call, sealed)
        return await self._authenticated(send, call, request, sealed)

    async def _holds(self, signed: Signed) -> bool:
        """Whether a request that was signed before may be sent: soon after, and with a credential that is the same."""
        if abs(time.time() - signed.at) > _SIGNED_FOR_SECONDS:
            return False
        key = signed.credential.id
        return bool((await _stored((key,)))[key] == signed.credential)

    def _first(self, call: Call, sealed: Sealed) -> Request | None:
        """The request that was made before, unless its credential has got certificates since."""
        has_certificates = sealed.credential is not None and sealed.credential.has_certificates
        return self.first if call.attempt == 1 and not has_certificates else None

    async def poll(self, send: Send, call: Call, address: str) -> Outcome:
        """Ask the status address of the work that a call began; the outcome has a run as long as the work goes on. As
        after a redirect, another origin gets neither credentials nor secrets. Raises `DeliveryError`.
        """
        try:
            sealed = await self._sealed()
            asked = redirected(self.request(call, sealed), Reply(303, "", location=address)).changed(method="GET")
            if URL(asked.url).origin() == URL(self.url).origin():
                asked, reply = await self._authenticated(send, call, asked, sealed)
            else:
                asked, reply = await self._answer(send, asked)
        except (Refused, TokenRefused) as exc:
            return Outcome(False, error=str(exc), repeatable=False)
        if reply.status == _ACCEPTED:
            # Whatever the job says by now: this work is polled.
            return _polled_further(reply._replace(location=reply.location or asked.url), asked)
        return self._outcome(reply, asked)

    async def _authenticated(self, send: Send, call: Call, request: Request, sealed: Sealed) -> tuple[Request, Reply]:
        """The request that was made last, with its proof, and the reply. Raises `Refused`, `TokenRefused`."""
        proof = await self._proof(call, request, sealed, send)
        last, reply = await self._answer(send, authenticated(request, proof))
        if reply.status == 401 and sealed.credential and sealed.credential.kind == authentication.Kind.OAUTH2:
            proof = await self._proof(call, request, sealed, send, instead_of=proof)
            last, reply = await self._answer(send, authenticated(request, proof))
        return last, reply

    def example(self, call: Call) -> Request:
        return self.request(call)

    def prepared(self, call: Call) -> Webhook:
        """The request of the first attempt is made now, if its content needs nothing that only the call knows: secrets,
        the span of a trace, the token of a callback. With a credential it is signed for its fire time. Raises
        `DeliveryError`.
        """
        if not self.is_whole or self.names or self.asks_first or tracing.is_on() or self._needs_certificates():
            return self
        request = self.request(call)
        made = encoded(request)
        first = request._replace(encoded=made.extensible() if self.plan.credential_id else made)
        signed = self._signed(first, call)
        return self._replace(first=None if signed else first, signed=signed)

    def _signed(self, first: Request, call: Call) -> Signed | None:
        """The request of a fire time with the headers of its credential, if they are known before the call."""
        credential = (sent_secrets.known(self.secret_keys) or {}).get(self.plan.credential_id)
        if credential is None or credential.kind == authentication.Kind.OAUTH2 or call.scheduled_for is None:
            return None
        if credential.rights.refusal(*_host_and_port(self.url), self.team_id):
            return None
        at = int(call.scheduled_for.timestamp())
        try:
            proof = authentication.proof(credential, call.execution_id, first.body or b"", at)
            request = authenticated(first, proof)
            return Signed(request._replace(encoded=request.encoded or encoded(request)), credential, at)
        except Refused:
            # The call says why.
            return None

    def _needs_certificates(self) -> bool:
        """Whether its connections are those of its credential. One that cannot be read may have certificates."""
        keys = self.secret_keys
        if not keys:
            return False
        try:
            found = sent_secrets.known(keys) or sent_secrets.read(keys)
        except (Refused, DatabaseError):
            return True
        return any(one.has_certificates for one in found.values())

    @property
    def _made(self) -> Encoded | None:
        made = self.signed.request if self.signed else self.first
        return made.encoded if made else None

    @property
    def origin(self) -> Origin | None:
        return self._made.origin if self._made else None

    @property
    def size(self) -> int:
        return len(self._made.message) if self._made else len(str(self.content))

    @property
    def secret_keys(self) -> list[str | UUID]:
        """The names of its secrets, and the id of its credential."""
        keys: list[str | UUID] = [*self.names]
        if self.plan.credential_id is not None:
            keys.append(self.plan.credential_id)
        return keys

    async def _sealed(self) -> Sealed:
        """The secrets of the request, if they may be sent to its host. Raises `Refused`."""
        keys = self.secret_keys
        if not keys:
            return UNSEALED
        found = await _stored(tuple(keys))
        host, port = _host_and_port(self.url)
        for one in found.values():
            refusal = one.rights.refusal(host, port, self.team_id)
            if refusal:
                raise Refused(refusal)
        credential = found.pop(self.plan.credential_id, None)
        return Sealed(found, credential)

    async def _proof(
        self, call: Call, request: Request, sealed: Sealed, send: Send, instead_of: Proof | None = None
    ) -> Proof:
        credential = sealed.credential
        if credential is None:
            return Proof({})
        if credential.kind != authentication.Kind.OAUTH2:
            return authentication.proof(credential, call.execution_id, request.body or b"", int(time.time()))
        name = authentication.placeholder(credential)
        tokens = _tokens.setdefault(asyncio.get_running_loop(), Tokens())
        refused = instead_of.secrets[0][0] if instead_of else ""
        token = await tokens.token(credential, send, instead_of=refused)
        return Proof({"Authorization": f"Bearer {token}"}, ((token, name), (credential.secret, name)))

    def request(self, call: Call, sealed: Sealed = UNSEALED) -> Request:
        """The request of one attempt, without the credential's headers. Raises `Refused` for a secret that cannot be
        part of a header.
        """
        content, execution_id = self._finished(call, sealed), str(call.execution_id)
        headers = {
            # IETF draft idempotency-key-header: lets a receiver recognise a repeated delivery.
            "Idempotency-Key": execution_id,
            "X-Cronsched-Execution": execution_id,
            "X-Cronsched-Attempt": str(call.attempt),
            "X-Cronsched-Trigger": call.trigger,
        }
        if self.job_id is not None:
            headers["X-Cronsched-Job"] = str(self.job_id)
        if call.scheduled_for is not None:
            headers["X-Cronsched-Scheduled-For"] = rfc3339(call.scheduled_for)
        if trace := tracing.parent():
            headers["traceparent"] = trace
        body, content_type = self._body(content)
        if content_type:
            headers["Content-Type"] = content_type
        if content.headers:
            require_values(content.headers)
            add_headers(headers, content.headers)
        has_callback = self.plan.completion == _BY_CALLBACK
        if has_callback:
            headers[callback.HEADER] = callback.address_of(call.execution_id)
        judged = self.plan.criteria.body is not None
        return Request(
            self._method(body),
            with_query(self.url, content.query) if content.query else self.url,
            headers,
            body,
            trusted=self.url == settings.ECHO_URL,
            secrets=tuple(
                [(one.value, language.placeholder(f"secret.{name}")) for name, one in sealed.secrets.items()]
            ),
            has_callback=has_callback,
            certificates=authentication.certificates_of(sealed.credential) if sealed.credential else None,
            kept_bytes=success_rules.JUDGED_BYTES if judged else KEPT_BYTES,
        )

    def _finished(self, call: Call, sealed: Sealed) -> Content:
        """The content with what is only known now."""
        if self.is_whole or not self.content.is_rendered:
            return self.content

        def late(name: str) -> str:
            if name == language.ATTEMPT:
                return str(call.attempt)
            return sealed.secrets[name.removeprefix(language.SECRETS)].value

        return self.content.mapped(lambda value: language.finish(value, late))

    def _method(self, body: bytes | None) -> str:
        if self.content.method != _AUTO:
            return self.content.method
        return "POST" if body is not None else "GET"

    def _body(self, content: Content) -> tuple[bytes | None, str]:
        """The body and its Content-Type; None for none."""
        method, kind, metadata = self.content.method, self.content.body, content.metadata
        if kind == _NONE or method in _WITHOUT_BODY:
            return None, ""
        if kind == _TEXT:
            return content.body_text.encode(), "text/plain; charset=utf-8"
        if method == _AUTO and not metadata and not self.always_post:
            return None, ""
        if kind == _FORM:
            return urlencode(form_fields(metadata), doseq=True).encode(), "application/x-www-form-urlencoded"
        return orjson.dumps(metadata), "application/json"

    async def _answer(self, send: Send, request: Request) -> tuple[Request, Reply]:
        """The request and its reply; with redirects, the last ones (RFC 9110 section 15.4). Raises `Refused`."""
        reply = await send(request)
        for _ in range(_MOST_REDIRECTS if self.plan.follows else 0):
            if reply.status not in {301, 302, 303, 307, 308} or not reply.location:
                break
            request = redirected(request, reply)
            reply = await send(request)
        return request, reply

    def _outcome(self, reply: Reply, request: Request) -> Outcome:
        if reply.status == _ACCEPTED and self.plan.completion != _AT_ONCE:
            return self._begun(reply, request)
        criteria = self.plan.criteria
        if not criteria.allows_status(reply.status):
            wanted = f", not {', '.join(_range(one) for one in criteria.statuses)}" if criteria.statuses else ""
            error = f"Webhook returned status {reply.status}{wanted}"
            failure = "criteria" if criteria.statuses else ""
            return Outcome(False, reply.status, reply.output, error, failure=failure, retry_after=reply.retry_after)
        broken = criteria.body.failure(reply.text, request.hide) if criteria.body else ""
        if broken:
            error = f"Webhook returned status {reply.status}, but {broken}"
            return Outcome(False, reply.status, reply.output, error, failure="criteria")
        return Outcome(True, reply.status, reply.output)

    def _begun(self, reply: Reply, request: Request) -> Outcome:
        """Work has begun that ends later."""
        if self.plan.completion == _BY_CALLBACK:
            return Outcome(True, reply.status, reply.output, run=Run(WITHOUT_NUMBER, ""))
        return _polled_further(reply, request)


def _polled_further(reply: Reply, request: Request) -> Outcome:
    """Work goes on, and its `Location` tells how."""
    try:
        address = urljoin(request.url, reply.location) if reply.location else ""
    except ValueError:
        address = ""
    if not address.startswith(("http://", "https://")):
        error = f"Webhook returned status {_ACCEPTED} without a Location at which its status can be asked"
        return Outcome(False, reply.status, reply.output, error, failure="criteria")
    run = Run(WITHOUT_NUMBER, "", address)
    return Outcome(True, reply.status, reply.output, retry_after=reply.retry_after, run=run)


async def _stored(keys: tuple[str | UUID, ...]) -> dict[Any, Any]:
    """The secrets that a call uses now. Raises what `_read` raises."""
    found = sent_secrets.known(keys)
    if found is None:
        found = await _read(keys)
    if sent_secrets.need_renewal(keys):
        later(partial(sent_secrets.renew, keys), "a secret of requests")
    return found


async def _read(keys: tuple[str | UUID, ...]) -> dict[Any, Any]:
    """The secrets from the database. Calls that need the same ones wait for one look-up. Raises `Refused`, and
    `DeliveryError` if the database does not answer.
    """
    waiting = _look_ups.setdefault(asyncio.get_running_loop(), {})
    async with waiting.setdefault(keys, asyncio.Lock()):
        found = sent_secrets.known(keys)
        if found is None:
            found = await looked_up(partial(sent_secrets.read, keys), "a secret of the request")
        if len(waiting) > _MOST_LOOK_UPS:
            waiting.clear()
        return found


@lru_cache(maxsize=10_000)
def _host_and_port(url: str) -> tuple[str, int]:
    parsed = URL(url)
    return parsed.raw_host or "", parsed.port or 0


def _range(one: tuple[int, int]) -> str:
    return str(one[0]) if one[0] == one[1] else f"{one[0]}-{one[1]}"
