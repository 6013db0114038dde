"""The HTTP client of the engine: pooled, bounded in time and in bytes, and kept to the addresses that the target policy allows."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict, deque
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from yarl import URL

from contract.version import __version__
from executions.dialling import Dialler, Origin, Resolve, resolve_by_system
from executions.wire import Connection, DeliveryError, Reply
from jobs import target_policy
from jobs.target_policy import TargetPolicy

_KEEP_IDLE_SECONDS = 15.0


class Request(NamedTuple):
    """A call to be made. `trusted` calls go to the operator's own settings (GitHub's API), whatever their address."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    trusted: bool = False


class HttpClient:
    """Makes calls over HTTP/1.1 (RFC 9112) within one event loop. Redirects are answers like any other; no proxy is asked."""

    def __init__(self, *, policy: TargetPolicy | None = None, resolve: Resolve = resolve_by_system) -> None:
        policy = policy or target_policy.current()
        self._allows = lru_cache(maxsize=4096)(policy.allows)
        self._dialler = Dialler(policy, resolve)
        self._idle: defaultdict[Origin, deque[tuple[float, Connection]]] = defaultdict(deque)
        self._swept_at = 0.0

    async def send(self, request: Request, timeout: float, connect_timeout: float | None = None) -> Reply:
        """Make one call within `timeout` seconds, `connect_timeout` of them to connect. Raises `DeliveryError` without an answer."""
        origin, path, host = _address(request.url, request.trusted)
        if not request.trusted and not self._allows(origin.host):
            raise DeliveryError(f"the address {origin.host} is not allowed as a target", "")
        message = _message(request, path, host)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        kept = self._take_idle(origin, loop.time())
        if kept is not None:
            try:
                return await self._exchange(origin, kept, message, timeout, deadline)
            except DeliveryError as exc:
                # The target gave the kept connection up while the call was on its way; a call that bears a key may be made again.
                if exc.failure != "broken" or kept.has_answered or "Idempotency-Key" not in request.headers:
                    raise
        connection = await self._dialler.connect(origin, min(timeout, connect_timeout or timeout))
        return await self._exchange(origin, connection, message, timeout, deadline)

    async def close(self) -> None:
        """Close the kept connections."""
        for waiting in self._idle.values():
            for _, connection in waiting:
                connection.close()
        self._idle.clear()

    async def _exchange(
        self, origin: Origin, connection: Connection, message: bytes, timeout: float, deadline: float
    ) -> Reply:
        reply = await connection.exchange(message, timeout, deadline)
        if connection.can_go_on:
            self._idle[origin].append((asyncio.get_running_loop().time(), connection))
        return reply

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
        """Close what nobody has used for a while."""
        self._swept_at = now
        for origin, waiting in list(self._idle.items()):
            while waiting and now - waiting[0][0] >= _KEEP_IDLE_SECONDS:
                waiting.popleft()[1].close()
            if not waiting:
                del self._idle[origin]


@lru_cache(maxsize=4096)
def _address(text: str, trusted: bool) -> tuple[Origin, str, str]:
    """Where a URL leads: its origin, what the request line asks for, and the header fields that the URL decides."""
    try:
        url = URL(text)
    except ValueError:
        raise DeliveryError("the address is not a URL", "") from None
    if url.scheme not in {"http", "https"} or not url.raw_host or not url.port:
        raise DeliveryError("the address is not a URL of http or https", "")
    fields = f"Host: {url.host_port_subcomponent}\r\n"
    if url.raw_user is not None:
        secret = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}".encode()
        fields += f"Authorization: Basic {base64.b64encode(secret).decode()}\r\n"
    return Origin(url.scheme == "https", url.raw_host, url.port, trusted), url.raw_path_qs, fields


def _message(request: Request, path: str, fields: str) -> bytes:
    own = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if "\r" in path or "\n" in path or own.count("\n") != len(request.headers):
        raise DeliveryError("the call would hold a line break where none may be", "")
    length = "" if request.body is None else f"Content-Length: {len(request.body)}\r\n"
    head = (
        f"{request.method} {path} HTTP/1.1\r\n{fields}User-Agent: Cronsched/{__version__}\r\nAccept: */*\r\n"
        f"Accept-Encoding: identity\r\n{own}{length}\r\n"
    )
    return head.encode("latin-1", errors="replace") + (request.body or b"")
