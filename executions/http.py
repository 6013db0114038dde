"""The HTTP client of the engine: pooled, bounded in time and in bytes, and kept to the addresses that the target policy allows."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from contract.version import __version__
from jobs import target_policy
from jobs.target_policy import TargetPolicy

KEPT_CHARACTERS = 1000
# Up to four bytes a character in UTF-8.
_KEPT_BYTES = 4 * KEPT_CHARACTERS
LARGEST_ANSWER = 1024 * 1024


class DeliveryError(Exception):
    """A call that got no usable answer; the text is the reason in words.

    `failure`: connect (the target cannot have acted on it), timeout, broken, or '' where no other attempt would help.
    """

    def __init__(self, reason: str, failure: str = "broken") -> None:
        super().__init__(reason)
        self.failure = failure


class NotAllowed(OSError):
    """An address that the target policy forbids."""


class Request(NamedTuple):
    """A call to be made. `trusted` calls go to the operator's own settings (GitHub's API), whatever their address."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    trusted: bool = False


class Reply(NamedTuple):
    """An answer: its status, the first `KEPT_CHARACTERS` characters of its body, and its `Retry-After`."""

    status: int
    text: str
    retry_after: str = ""


class PolicyResolver(AbstractResolver):
    """Resolves names to the addresses that may be dialled; raises `NotAllowed` when none is left."""

    def __init__(self, policy: TargetPolicy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if self._policy.allows_name(host):
            return found
        allowed = [
            result
            for result in found
            if self._policy.allows_address(ipaddress.ip_address(result["host"].partition("%")[0]))
        ]
        if not allowed:
            addresses = ", ".join(sorted({result["host"] for result in found}))
            raise NotAllowed(errno.EACCES, f"{host} resolves to {addresses}, which is not allowed as a target")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


class HttpClient:
    """Makes calls within one event loop."""

    def __init__(self, *, policy: TargetPolicy | None = None, resolver: AbstractResolver | None = None) -> None:
        policy = policy or target_policy.current()
        self._allows = lru_cache(maxsize=4096)(policy.allows)
        resolver = resolver or ThreadedResolver()
        self._guarded = _session(PolicyResolver(policy, resolver))
        self._trusted = _session(resolver)

    async def send(self, request: Request, timeout: float, connect_timeout: float | None = None) -> Reply:
        """Make one call within `timeout` seconds, `connect_timeout` of them to connect. Raises `DeliveryError` without an answer."""
        url = URL(request.url)
        if not request.trusted and not self._allows(url.host or ""):
            raise DeliveryError(f"the address {url.host} is not allowed as a target", "")
        try:
            return await self._exchange(url, request, _timeout(timeout, connect_timeout))
        except aiohttp.ConnectionTimeoutError:
            raise DeliveryError(f"no connection within {connect_timeout or timeout:g} s", "connect") from None
        except TimeoutError:
            raise DeliveryError(f"no answer within {timeout:g} s", "timeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise DeliveryError(reason(exc), _failure(exc)) from exc

    async def _exchange(self, url: URL, request: Request, timeout: aiohttp.ClientTimeout) -> Reply:
        session = self._trusted if request.trusted else self._guarded
        async with session.request(
            request.method,
            url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            timeout=timeout,
        ) as answer:
            kept, size = bytearray(), 0
            async for chunk in answer.content.iter_any():
                size += len(chunk)
                kept += chunk[: max(0, _KEPT_BYTES - len(kept))]
                if size > LARGEST_ANSWER:
                    answer.close()
                    raise DeliveryError(f"the answer is longer than {LARGEST_ANSWER // 1024} KiB")
            return Reply(answer.status, _decoded(bytes(kept), answer.charset), answer.headers.get("Retry-After", ""))

    async def close(self) -> None:
        await self._guarded.close()
        await self._trusted.close()


@lru_cache(maxsize=256)
def _timeout(seconds: float, connect: float | None) -> aiohttp.ClientTimeout:
    # aiohttp rounds times over `ceil_threshold` up to whole seconds.
    sock_connect = connect if connect is not None and connect < seconds else None
    return aiohttp.ClientTimeout(total=seconds, sock_connect=sock_connect, ceil_threshold=seconds + 1)


def _session(resolver: AbstractResolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=resolver, ttl_dns_cache=10, keepalive_timeout=15),
        cookie_jar=aiohttp.DummyCookieJar(),
        # Nothing is decompressed: an answer costs no more than its bytes.
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding",),
        headers={"User-Agent": f"Cronsched/{__version__}", "Accept-Encoding": "identity"},
        trust_env=False,
    )


def _decoded(raw: bytes, charset: str | None) -> str:
    try:
        text = raw.decode(charset or "utf-8", errors="replace")
    except LookupError:
        text = raw.decode("utf-8", errors="replace")
    # Some charsets can spell halves of characters, which no database stores.
    whole = text.encode("utf-8", errors="replace").decode("utf-8")
    return whole.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARACTERS]


def _failure(exc: BaseException) -> str:
    if isinstance(exc, aiohttp.ClientConnectorError):
        return "" if isinstance(exc.os_error, NotAllowed) else "connect"
    return "broken"


def reason(exc: BaseException) -> str:
    """Why a call failed, in words for a person."""
    if isinstance(exc, aiohttp.ClientConnectorError) and isinstance(exc.os_error, NotAllowed):
        return str(exc.os_error.strerror)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return f"the host name {exc.host} could not be resolved"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return f"the target's certificate is not trusted: {exc}"
    if isinstance(exc, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return "no secure connection (TLS) could be made"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"no connection to {exc.host}:{exc.port}: {_strerror(exc.os_error)}"
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return "the target closed the connection without an answer"
    if isinstance(exc, aiohttp.ClientPayloadError):
        return "the target broke off in the middle of its answer"
    if isinstance(exc, aiohttp.ClientResponseError | aiohttp.InvalidURL | ValueError):
        return "the target's answer is not valid HTTP"
    if isinstance(exc, OSError):
        return f"the connection broke: {_strerror(exc)}"
    return f"the call failed: {type(exc).__name__}"


def _strerror(exc: OSError) -> str:
    text = exc.strerror if exc.errno is None or not exc.strerror else os.strerror(exc.errno)
    return (text or type(exc).__name__).lower()
