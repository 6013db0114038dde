"""Which addresses a webhook may reach.

Public addresses only, unless `CRONSCHED_ALLOWED_TARGETS` names a network, an address or a host (`*.example.com` for all below it).
Literal addresses are judged when a URL is given, in any spelling that the C library's inet_aton(3) understands; names when they are
resolved to be dialled (`executions.http.connect`). Special ranges: RFC 6890 and the IANA registries, as Python's `ipaddress` knows
them; IPv6 addresses that carry an IPv4 one (mapped, compatible, NAT64 of RFC 6052 and RFC 8215, 6to4, Teredo) are judged by both.
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
    """What `CRONSCHED_ALLOWED_TARGETS` allows beyond the public addresses."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, entries: list[str]) -> TargetPolicy:
        """Sort entries into networks (an address is a network of one) and host names."""
        networks, hosts = [], set()
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                hosts.add(entry.lower().rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def allows_name(self, host: str) -> bool:
        """Whether a host is allowed whatever its address."""
        host = host.lower().rstrip(".")
        parents = host.split(".")
        return host in self.hosts or any(
            "*." + ".".join(parents[start:]) in self.hosts for start in range(1, len(parents))
        )

    def allows_address(self, address: Address) -> bool:
        """Whether an address may be dialled."""
        faces = [address, *_carried(address)]
        if any(face in network for face in faces for network in self.networks if face.version == network.version):
            return True
        reserved = address.is_reserved and not any(address in network for network in _NAT64)
        return not reserved and all(face.is_global and not face.is_multicast for face in faces)

    def allows(self, host: str) -> bool:
        """Whether a URL's host may be stored: a name, or an allowed literal address. Names are judged again when dialled."""
        address = literal_address(host)
        return address is None or self.allows_name(host) or self.allows_address(address)


def current() -> TargetPolicy:
    """The policy of the settings."""
    return _policy(tuple(settings.CRONSCHED_ALLOWED_TARGETS))


@lru_cache(maxsize=8)
def _policy(entries: tuple[str, ...]) -> TargetPolicy:
    return TargetPolicy.read(list(entries))


def literal_address(host: str) -> Address | None:
    """The address that a host spells in digits (decimal, octal, hexadecimal, short forms, IPv6), or None for a name."""
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
        # Digits that are no address would be asked of the resolver, whose reading may differ: none is allowed.
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
    """A webhook's URL, if it may be called: http or https, a host, no address that the policy forbids.

    Raises `Invalid target_url` with what is wrong.
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
