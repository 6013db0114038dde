"""The HTTP/1.1 client of the engine: pooled connections, limits on time and size, addresses checked by the target
policy.

What it does not do, and why it exists: docs/decisions/http-client.md.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from core.masking import secret_texts, without_callbacks
from core.runtime import outbound
from core.runtime.outbound import Proxy
from executions.http.address import Address, address_of
from executions.http.connect import Certificates, Connector, Origin, Resolve, resolve_by_system
from executions.http.connection import KEPT_BYTES, Connection, DeliveryError, Reply, Timings
from jobs.targets import address_policy
from jobs.targets.address_policy import TargetPolicy

_KEEP_IDLE_SECONDS = 15.0
_OPENED_AT_ONCE = 20


class Encoded(NamedTuple):
    """Where a request goes, and its bytes. `names`: the headers in them, in small letters, if they may be extended."""

    origin: Origin
    message: bytes
    names: frozenset[str] | None = None

    def extensible(self) -> Encoded:
        lines = self.message.partition(b"\r\n\r\n")[0].decode("latin-1").lower().split("\r\n")[1:]
        return self._replace(names=frozenset([line.partition(":")[0] for line in lines]))


class Request(NamedTuple):
    """One request. `trusted` requests go to a server that the operator configured (GitHub's API) and skip the target
    policy. `secrets`: the secret texts in it, each with what is shown in its place. `kept_bytes`: how much of the
    answer's body is kept. `keeps_answer`: whether it may be stored; not if it is a secret. `has_callback`: whether it
    carries the token of a callback. `encoded`: its bytes, if they were made before; change it by `changed` only.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    trusted: bool = False
    secrets: tuple[tuple[str, str], ...] = ()
    certificates: Certificates | None = None
    kept_bytes: int = KEPT_BYTES
    keeps_answer: bool = True
    has_callback: bool = False
    encoded: Encoded | None = None

    def changed(self, **values: Any) -> Request:
        """The request with other values."""
        return self._replace(**values, encoded=None)

    def extended(self, headers: Mapping[str, str], **values: Any) -> Request | None:
        """The request with more headers and other values, its bytes extended by these headers, whose values hold no
        line breaks; None if it has no bytes that may be extended, or one of these headers.
        """
        encoded = self.encoded
        if encoded is None or encoded.names is None:
            return None
        if not encoded.names.isdisjoint([name.lower() for name in headers]):
            return None
        added = "".join([f"\r\n{name}: {value}" for name, value in headers.items()])
        head, _, body = encoded.message.partition(b"\r\n\r\n")
        message = b"%b%b\r\n\r\n%b" % (head, added.encode("latin-1", errors="replace"), body)
        return self._replace(headers={**self.headers, **headers}, encoded=Encoded(encoded.origin, message), **values)

    @property
    def has_secrets(self) -> bool:
        """Whether it holds what nobody may read."""
        return bool(self.secrets) or self.has_callback

    def hide(self, text: str, *, is_cut: bool = False) -> str:
        """A text of the request or its answer without what nobody may read; `is_cut`: see `SecretTexts.hide`."""
        hidden = secret_texts(self.secrets).hide(text, is_cut=is_cut) if self.secrets else text
        return without_callbacks(hidden) if self.has_callback else hidden


class HttpClient:
    """Sends requests over HTTP/1.1 (RFC 9112) within one event loop. It does not follow redirects."""

    def __init__(self, *, policy: TargetPolicy | None = None, resolve: Resolve = resolve_by_system) -> None:
        policy = policy or address_policy.current()
        self._allows = lru_cache(maxsize=4096)(policy.allows)
        self._connector = Connector(policy, resolve)
        self._idle: defaultdict[Origin, deque[tuple[float, Connection]]] = defaultdict(deque)
        self._swept_at = 0.0

    async def send(self, request: Request, timeout: float, connect_timeout: float | None = None) -> Reply:
        """Send one request and return its reply within `timeout` seconds, of which `connect_timeout` are for the
        connection.

        Raises `DeliveryError` if there is no reply.
        """
        origin, message, _names = request.encoded or encoded(request)
        if not request.trusted and not self._allows(origin.host):
            raise DeliveryError(f"the address {origin.host} is not allowed as a target", "")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        # The target may close an idle connection while a request is sent. Only a request with an Idempotency-Key may be
        # repeated then, so every other request gets a new connection.
        kept = self._take_idle(origin, loop.time()) if "Idempotency-Key" in request.headers else None
        if kept is not None:
            try:
                return await self._exchange(request, origin, kept, message, timeout, deadline)
            except DeliveryError as exc:
                if exc.failure != "broken" or kept.has_answered:
                    raise
        connection = await self._connector.connect(origin, min(timeout, connect_timeout or timeout))
        return await self._exchange(request, origin, connection, message, timeout, deadline)

    async def open_ahead(self, origin: Origin, count: int, timeout: float) -> None:
        """Have up to `count` idle connections to an origin, for calls that come within seconds. One that cannot or
        may not be called has none: its calls say why.
        """
        if not origin.trusted and not self._allows(origin.host):
            return
        lacking = count - sum(connection.can_go_on for _, connection in self._idle.get(origin, ()))
        for first in range(0, lacking, _OPENED_AT_ONCE):
            count = min(_OPENED_AT_ONCE, lacking - first)
            opening = [asyncio.ensure_future(self._connector.connect(origin, timeout)) for _ in range(count)]
            try:
                await asyncio.gather(*opening, return_exceptions=True)
            finally:
                # Also when this is broken off: nobody else would close them.
                opened = [one.result() for one in opening if not one.cancelled() and one.exception() is None]
                self._keep(origin, opened)
            if len(opened) < count:
                return

    def _keep(self, origin: Origin, opened: Iterable[Connection]) -> None:
        now = asyncio.get_running_loop().time()
        for connection in opened:
            # The time that it took is none of the call's.
            connection.opening = Timings(address=connection.opening.address)
            self._idle[origin].append((now, connection))

    async def close(self) -> None:
        """Close all pooled connections."""
        for waiting in self._idle.values():
            for _, connection in waiting:
                connection.close()
        self._idle.clear()

    async def _exchange(
        self,
        request: Request,
        origin: Origin,
        connection: Connection,
        message: bytes,
        timeout: float,
        deadline: float,
    ) -> Reply:
        reply = await connection.exchange(
            message, timeout, deadline, kept_bytes=request.kept_bytes, has_body=request.method != "HEAD"
        )
        if connection.can_go_on:
            self._idle[origin].append((asyncio.get_running_loop().time(), connection))
        return reply if request.keeps_answer else reply._replace(is_kept=False)

    def _take_idle(self, origin: Origin, now: float) -> Connection | None:
        if now - self._swept_at > _KEEP_IDLE_SECONDS:
            self._sweep(now)
        waiting = self._idle.get(origin)
        while waiting:
            since, connection = waiting.pop()
            if connection.can_go_on and now - since < _KEEP_IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _sweep(self, now: float) -> None:
        """Close connections that have been idle for too long."""
        self._swept_at = now
        for origin, waiting in list(self._idle.items()):
            while waiting and now - waiting[0][0] >= _KEEP_IDLE_SECONDS:
                waiting.popleft()[1].close()
            if not waiting:
                del self._idle[origin]


def encoded(request: Request) -> Encoded:
    """Where a request goes, and its bytes. Raises `DeliveryError` for one that cannot be sent."""
    address = address_of(request.url)
    origin = Origin(address.is_tls, address.host, address.port, request.trusted)
    if request.certificates is not None:
        origin = origin._replace(certificates=request.certificates)
    return Encoded(origin, _message(request, address, None if origin.tls else outbound.proxy_for(origin.host)))


_DEFAULTS = {
    "User-Agent": f"User-Agent: {outbound.USER_AGENT}\r\n",
    "Accept": "Accept: */*\r\n",
    "Accept-Encoding": "Accept-Encoding: identity\r\n",
}
_WITH_CONTENT = frozenset(["POST", "PUT", "PATCH"])


def _without(headers: Mapping[str, str]) -> dict[str, str]:
    """The default headers that a request does not bring itself."""
    return {name: line for name, line in _DEFAULTS.items() if name not in headers}


def _message(request: Request, address: Address, proxy: Proxy | None) -> bytes:
    """The request in bytes; through a proxy in absolute form (RFC 9112 section 3.2.2)."""
    own = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    path = f"http://{address.authority}{address.path}" if proxy else address.path
    if "\r" in path or "\n" in path or own.count("\n") != len(request.headers):
        raise DeliveryError("the call would hold a line break where none may be", "")
    length = "" if request.body is None else f"Content-Length: {len(request.body)}\r\n"
    if request.body is None and request.method in _WITH_CONTENT:
        # RFC 9110 section 8.6: receivers may wait for content without it.
        length = "Content-Length: 0\r\n"
    authorization = "" if "Authorization" in request.headers else address.authorization
    defaults = _DEFAULTS if request.headers.keys().isdisjoint(_DEFAULTS) else _without(request.headers)
    to_proxy = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy and proxy.authorization else ""
    head = (
        f"{request.method} {path} HTTP/1.1\r\nHost: {address.authority}\r\n{authorization}{to_proxy}"
        f"{''.join(defaults.values())}{own}{length}\r\n"
    )
    return head.encode("latin-1", errors="replace") + (request.body or b"")
