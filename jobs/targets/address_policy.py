"""The target policy: which addresses a webhook may reach.

Only public addresses, unless `CRONSCHED_ALLOWED_TARGETS` names a network, an address or a host (`*.example.com` for
every host below it). Literal addresses, in any spelling that inet_aton(3) accepts, are checked when a URL is saved;
names are checked after they are resolved for a connection (`executions.http.connect`). Special ranges: RFC 6890 and
the IANA registries, as in Python's `ipaddress`. IPv6 addresses that embed an IPv4 address (mapped, compatible, NAT64
of RFC 6052 and RFC 8215, 6to4, Teredo) are checked by both.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from django.conf import settings
from yarl import URL

from core.api.errors import Invalid, invalid_field

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = [ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48")]
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class TargetPolicy:
    """The entries of `CRONSCHED_ALLOWED_TARGETS`."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, entries: list[str]) -> TargetPolicy:
        """Parse entries into networks (an address is a network of one) and host names."""
        networks, hosts = [], set()
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                hosts.add(entry.lower().rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def allows_name(self, host: str) -> bool:
        """Whether a host is allowed independently of its address."""
        host = host.lower().rstrip(".")
        parents = host.split(".")
        return host in self.hosts or any(
            "*." + ".".join(parents[start:]) in self.hosts for start in range(1, len(parents))
        )

    def allows_address(self, address: Address) -> bool:
        """Whether a connection to an address is allowed."""
        faces = [address, *_carried(address)]
        if any(face in network for face in faces for network in self.networks if face.version == network.version):
            return True
        reserved = address.is_reserved and not any(address in network for network in _NAT64)
        return not reserved and all(face.is_global and not face.is_multicast for face in faces)

    def allows(self, host: str) -> bool:
        """Whether a URL's host may be saved: a name, or an allowed literal address. Names are checked again after
        resolution.
        """
        address = literal_address(host)
        return address is None or self.allows_name(host) or self.allows_address(address)


def current() -> TargetPolicy:
    """The policy of the current settings."""
    return _policy(tuple(settings.CRONSCHED_ALLOWED_TARGETS))


@lru_cache(maxsize=8)
def _policy(entries: tuple[str, ...]) -> TargetPolicy:
    return TargetPolicy.read(list(entries))


def literal_address(host: str) -> Address | None:
    """The address that a host spells as a number (decimal, octal, hexadecimal, short forms, IPv6); None for a name."""
    host = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        # Numeric hosts that are no valid address are refused, because resolvers read them differently.
        return ipaddress.IPv4Address(0)


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        found.append(low)
    return [face for face in found if face is not None]


def check_url(text: str, *, limit: int = 2048) -> str:
    """The URL of a webhook, if it is allowed: http or https, with a host, not an address that the policy refuses.

    Raises `Invalid target_url` with the reason.
    """
    if len(text) > limit:
        raise _refused(f"The URL is too long: {len(text)} characters, at most {limit} are allowed.")
    if any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise _refused("A URL holds no spaces or control characters.")
    try:
        url = URL(text)
        host, port = url.host, url.port
        host.encode("idna") if host and not host.isascii() else None
    except (ValueError, UnicodeError):
        raise _refused("This is not a URL; write one such as https://example.com/hook.") from None
    if url.scheme not in {"http", "https"} or not host:
        raise _refused("Write a URL that begins with http:// or https:// and names a host.")
    if port == 0:
        raise _refused("Port 0 cannot be called.")
    if not current().allows(host):
        raise _refused(
            f"The address {host} is not allowed: only public addresses may be called, and those that"
            " CRONSCHED_ALLOWED_TARGETS names."
        )
    return text


def _refused(message: str) -> Invalid:
    return invalid_field("target_url", message, error="Invalid target_url")
