"""From an origin to a connection: resolve the name, judge its addresses by the target policy, connect to one of them.

With an outbound proxy (`core.runtime.outbound`) the connection leads to the proxy. Names that resolve here are still
judged by the target policy; names that only the proxy can resolve cannot be.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import NamedTuple

import aiohappyeyeballs

from core.runtime import outbound
from core.runtime.outbound import Proxy
from executions.http.connection import Connection, DeliveryError, Timings, os_reason
from executions.http.deadline import Timeout
from jobs.targets.address_policy import TargetPolicy

log = logging.getLogger("cronsched.http")
KEEP_NAMES_SECONDS = 10.0
# RFC 8305 section 5: when the next address is tried beside one that has not answered.
_NEXT_ADDRESS_SECONDS = 0.25
# The longest answer of a proxy to CONNECT, in bytes.
_LONGEST_PROXY_ANSWER = 16 * 1024
_MOST_CONTEXTS = 256
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Certificates(NamedTuple):
    """Certificates of one credential, as PEM: a client certificate with its key ('' for none), and the CAs that are
    accepted beside the public ones.
    """

    client: str = ""
    key: str = ""
    authorities: str = ""


@lru_cache(maxsize=_MOST_CONTEXTS)
def context_with(certificates: Certificates) -> ssl.SSLContext:
    """The TLS context of calls with certificates of their own. Raises `DeliveryError` for some that cannot be used."""
    try:
        context = outbound.new_tls_context()
        if certificates.authorities:
            context.load_verify_locations(cadata=certificates.authorities)
        if certificates.client:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                # OpenSSL reads client certificates from files only.
                file.write(f"{certificates.client}\n{certificates.key}\n")
                file.flush()
                context.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError, OSError) as exc:
        raise DeliveryError("the credential's certificates cannot be used: check them", "") from exc
    return context


class Origin(NamedTuple):
    """Scheme, host and port of a target. Connections of `trusted` calls, and of calls with certificates of their own,
    are not shared with other calls.
    """

    tls: bool
    host: str
    port: int
    trusted: bool
    certificates: Certificates | None = None


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order (getaddrinfo(3), RFC 6724). Raises `OSError`."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(None, look_up)
    return [str(entry[4][0]) for entry in found]


# Threads that look-ups of one domain may use at the same time.
_LOOK_UPS_OF_A_DOMAIN = 16
_MOST_DOMAINS = 10_000


class Connector:
    """Opens connections within one event loop."""

    def __init__(self, policy: TargetPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._names: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}
        self._domains: dict[str, asyncio.Semaphore] = {}
        self._swept_at = 0.0

    async def connect(self, origin: Origin, timeout: float) -> Connection:
        """A new connection, within `timeout` seconds. Raises `DeliveryError`."""
        try:
            async with Timeout(timeout):
                proxy = outbound.proxy_for(origin.host)
                if proxy is not None:
                    return await self._connect_through(proxy, origin)
                return await self._connect_directly(origin)
        except TimeoutError:
            raise DeliveryError(f"timed out: no connection within {timeout:g} s", "connect") from None
        except OSError as exc:
            raise DeliveryError(_reason(exc, origin), "connect") from exc

    async def _connect_directly(self, origin: Origin) -> Connection:
        # The clock of the event loop stands still while it runs callbacks.
        clock = time.perf_counter
        began = clock()
        addresses = await self._addresses(origin)
        found = clock()
        sock = await _open(addresses, origin.port)
        opened = clock()
        address = str(sock.getpeername()[0])
        connection = await _secured(sock, origin)
        connection.opening = Timings(
            found - began, opened - found, clock() - opened if origin.tls else 0, address=address
        )
        return connection

    async def _connect_through(self, proxy: Proxy, origin: Origin) -> Connection:
        await self._judge(origin)
        try:
            addresses = [proxy.host] if _is_address(proxy.host) else await self._look_up(proxy.host, proxy.port)
            sock = await _open(addresses, proxy.port)
        except (OSError, UnicodeError) as exc:
            raise DeliveryError("the outbound proxy cannot be reached", "connect") from exc
        if origin.tls:
            await _tunnel(sock, proxy, origin)
        return await _secured(sock, origin)

    async def _judge(self, origin: Origin) -> None:
        """Refuse a name that resolves here to forbidden addresses only."""
        if origin.trusted or _is_address(origin.host):
            return
        try:
            found = await self._look_up(origin.host, origin.port)
        except (OSError, UnicodeError):
            return
        self.allowed(origin.host, found)

    async def _addresses(self, origin: Origin) -> list[str]:
        if _is_address(origin.host):
            return [origin.host]
        try:
            found = await self._look_up(origin.host, origin.port)
        except (OSError, UnicodeError):
            raise DeliveryError(f"the host name {origin.host} could not be resolved", "connect") from None
        return found if origin.trusted else self.allowed(origin.host, found)

    def allowed(self, host: str, addresses: list[str]) -> list[str]:
        """The addresses of a name that may be called. Raises `DeliveryError` if there is none."""
        allowed = self._policy.allowed_of(host, addresses)
        if not allowed:
            # Only the operator may learn where an internal name leads.
            log.info("%s resolves to %s, which is not allowed as a target", host, ", ".join(sorted(set(addresses))))
            raise DeliveryError(f"{host} resolves to an address that is not allowed as a target", "")
        return allowed

    async def _look_up(self, host: str, port: int) -> list[str]:
        """The addresses of a name; concurrent calls share one look-up."""
        loop = asyncio.get_running_loop()
        asked_at, answer = self._names.get((host, port), (0.0, None))
        if answer is None or loop.time() - asked_at > KEEP_NAMES_SECONDS or _has_failed(answer):
            if loop.time() - self._swept_at > KEEP_NAMES_SECONDS:
                self._sweep(loop.time())
            answer = asyncio.ensure_future(self._resolve_within_domain(host, port))
            answer.add_done_callback(_has_failed)
            self._names[host, port] = (loop.time(), answer)
        return await asyncio.shield(answer)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        kept = {name: entry for name, entry in self._names.items() if now - entry[0] <= KEEP_NAMES_SECONDS}
        self._names = kept
        if len(self._domains) > _MOST_DOMAINS:
            self._domains.clear()

    async def _resolve_within_domain(self, host: str, port: int) -> list[str]:
        """Look a name up. Look-ups cannot be cancelled, so a domain whose servers do not answer may use only a few of
        the threads; the other look-ups of that domain wait.
        """
        domain = ".".join(host.rstrip(".").split(".")[-2:])
        limit = self._domains.setdefault(domain, asyncio.Semaphore(_LOOK_UPS_OF_A_DOMAIN))
        async with limit:
            return await self._resolve(host, port)


def _has_failed(answer: asyncio.Future[list[str]]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


async def _open(addresses: list[str], port: int) -> socket.socket:
    """A TCP connection to one of these addresses (RFC 8305). Raises `OSError`."""
    found: list[aiohappyeyeballs.AddrInfoType] = []
    for one in addresses:
        family = socket.AF_INET6 if ":" in one else socket.AF_INET
        found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port)))
    sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def _tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask the proxy for a tunnel to the origin (RFC 9110 section 9.3.6). Raises `DeliveryError`."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    authority = f"{host}:{origin.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {outbound.USER_AGENT}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    loop, answer = asyncio.get_running_loop(), b""
    try:
        await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_PROXY_ANSWER:
            received = await loop.sock_recv(sock, 4096)
            if not received:
                break
            answer += received
    except BaseException:
        sock.close()
        raise
    status = answer.partition(b"\r\n")[0].split(b" ")[1:2]
    if not status or not status[0].startswith(b"2"):
        sock.close()
        said = status[0].decode("latin-1") if status else "no answer"
        remedy = "; check the credentials in OUTBOUND_PROXY" if said == "407" else ""
        raise DeliveryError(f"the outbound proxy refused a connection to {authority}: {said}{remedy}", "connect")


async def _secured(sock: socket.socket, origin: Origin) -> Connection:
    """A connection over an open socket, with TLS if the origin has it. Raises `OSError`."""
    try:
        context = None
        if origin.tls:
            context = context_with(origin.certificates) if origin.certificates else outbound.tls_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection,
            sock=sock,
            ssl=context,
            server_hostname=origin.host.rstrip(".") if origin.tls else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(exc: OSError, origin: Origin) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"the target's certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return "no secure connection (TLS) could be made"
    return f"no connection to {origin.host}:{origin.port}: {os_reason(exc)}"
