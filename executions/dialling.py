"""From an origin to a connection: the name is resolved, its addresses are judged by the target policy, and one of them is dialled."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import NamedTuple

import aiohappyeyeballs

from executions.wire import Connection, DeliveryError, words
from jobs.target_policy import TargetPolicy

_KEEP_NAMES_SECONDS = 10.0
# RFC 8305 section 5: when the next address is tried beside one that has not answered.
_NEXT_ADDRESS_SECONDS = 0.25
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Origin(NamedTuple):
    """Where connections lead; those of `trusted` calls are not shared with others."""

    tls: bool
    host: str
    port: int
    trusted: bool


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order (getaddrinfo(3), RFC 6724). Raises `OSError`."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(None, look_up)
    return [str(entry[4][0]) for entry in found]


class Dialler:
    """Opens connections within one event loop."""

    def __init__(self, policy: TargetPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._names: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}

    async def connect(self, origin: Origin, timeout: float) -> Connection:
        """A new connection, within `timeout` seconds. Raises `DeliveryError`."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(origin)
                return await _dial(origin, addresses)
        except TimeoutError:
            raise DeliveryError(f"no connection within {timeout:g} s", "connect") from None
        except OSError as exc:
            raise DeliveryError(_reason(exc, origin), "connect") from exc

    async def _addresses(self, origin: Origin) -> list[str]:
        if _is_address(origin.host):
            return [origin.host]
        try:
            found = await self._look_up(origin.host, origin.port)
        except (OSError, UnicodeError):
            raise DeliveryError(f"the host name {origin.host} could not be resolved", "connect") from None
        return found if origin.trusted else self.allowed(origin.host, found)

    def allowed(self, host: str, addresses: list[str]) -> list[str]:
        """Those of a name's addresses that may be dialled. Raises `DeliveryError` when none is left."""
        if self._policy.allows_name(host):
            return addresses
        allowed = [one for one in addresses if self._policy.allows_address(ipaddress.ip_address(one.partition("%")[0]))]
        if not allowed:
            listed = ", ".join(sorted(set(addresses)))
            raise DeliveryError(f"{host} resolves to {listed}, which is not allowed as a target", "")
        return allowed

    async def _look_up(self, host: str, port: int) -> list[str]:
        """Calls that ask for one name at a time wait for one look-up."""
        loop = asyncio.get_running_loop()
        asked_at, answer = self._names.get((host, port), (0.0, None))
        if answer is None or loop.time() - asked_at > _KEEP_NAMES_SECONDS or _has_failed(answer):
            self._names = {
                name: entry for name, entry in self._names.items() if loop.time() - entry[0] <= _KEEP_NAMES_SECONDS
            }
            answer = asyncio.ensure_future(self._resolve(host, port))
            answer.add_done_callback(_has_failed)
            self._names[host, port] = (loop.time(), answer)
        return await asyncio.shield(answer)


def _has_failed(answer: asyncio.Future[list[str]]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


async def _dial(origin: Origin, addresses: list[str]) -> Connection:
    loop = asyncio.get_running_loop()
    found: list[aiohappyeyeballs.AddrInfoType] = [
        (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, origin.port))
        for one in addresses
    ]  # fmt: skip
    sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, connection = await loop.create_connection(
            Connection,
            sock=sock,
            ssl=_tls() if origin.tls else None,
            server_hostname=origin.host.rstrip(".") if origin.tls else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


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
    return f"no connection to {origin.host}:{origin.port}: {words(exc)}"
