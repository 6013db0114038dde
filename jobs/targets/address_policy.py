"""The target policy: which addresses a webhook may reach.

Only public addresses, unless `CRONSCHED_ALLOWED_TARGETS` names a network, an address or a host (`*.example.com` for
every host below it). Literal addresses, in any spelling that inet_aton(3) accepts, are checked when a URL is saved;
names are checked after they are resolved for a connection (`executions.http.connect`). The special ranges are a table
of our own, from the IANA registries of special-purpose addresses (RFC 6890), because Python's differs by patch level
(CVE-2024-4032). IPv6 addresses that embed an IPv4 address (mapped, compatible, NAT64
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
from core.runtime import outbound
from jobs.templating.language import has_placeholder, without_placeholders

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = [ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48")]
# IANA IPv4 Special-Purpose Address Registry, multicast (RFC 5771), and Azure's WireServer, which serves metadata.
_SPECIAL_IPV4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
# Global unicast (RFC 4291 section 2.4) and the well-known prefix of NAT64, without what the IANA IPv6 Special-Purpose
# Address Registry takes out of them.
_PUBLIC_IPV6 = [ipaddress.IPv6Network("2000::/3"), _NAT64[0]]
_SPECIAL_IPV6 = [ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
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

    def allowed_of(self, host: str, addresses: list[str]) -> list[str]:
        """The addresses of a name that may be called. A name that an entry `*.` allows may lead to private networks,
        but to this machine and to link-local addresses only where their network is listed as well.
        """
        if host.lower().rstrip(".") in self.hosts:
            return addresses
        star = self.allows_name(host)
        return [one for one in addresses if self._allows_found(ipaddress.ip_address(one.partition("%")[0]), star)]

    def _allows_found(self, address: Address, star: bool) -> bool:
        faces = [address, *_carried(address)]
        is_near = any(face.is_loopback or face.is_link_local or face.is_unspecified for face in faces)
        return self.allows_address(address) or (star and not is_near)

    def allows_address(self, address: Address) -> bool:
        """Whether a connection to an address is allowed."""
        faces = [address, *_carried(address)]
        if any(face in network for face in faces for network in self.networks if face.version == network.version):
            return True
        return all(_is_public(face) for face in faces)

    def allows(self, host: str) -> bool:
        """Whether a URL's host may be saved: a name, or an allowed literal address. Names are checked again after
        resolution.
        """
        address = literal_address(host)
        return address is None or self.allows_name(host) or self.allows_address(address)

    def leads_to_allowed(self, host: str) -> bool:
        """Whether a host may be called, by all addresses that it has now. Behind a proxy, which looks names up itself,
        one that has none here may.
        """
        if literal_address(host) is not None or not host:
            return bool(host) and self.allows(host)
        try:
            found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError):
            return outbound.proxy_for(host) is not None
        return self.allowed_of(host, found) == found


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


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return any(address in network for network in _PUBLIC_IPV6) and not any(
        address in network for network in _SPECIAL_IPV6
    )


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
    if has_placeholder(text.partition("://")[2].partition("/")[0].partition("?")[0]):
        raise _refused("Variables are for the path and the query of a URL only.")
    # Variables are put in when the URL is called; `jobs.request_rules` checks them.
    shape = without_placeholders(text)
    if any(ord(char) <= 32 or ord(char) == 127 for char in shape):
        raise _refused("A URL holds no spaces or control characters.")
    try:
        url = URL(shape)
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
