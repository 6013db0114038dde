"""The one way out to the network: certificates, proxy, timeout and user agent of every HTTP call that leaves the
installation.

Settings: `OUTBOUND_CA_FILE` (trusted in addition to the system's certificate authorities), `OUTBOUND_PROXY` (an HTTP
proxy; `https://` targets are reached through it by CONNECT, RFC 9110 section 9.3.6) and `NO_PROXY` (hosts that are
called directly).
"""

from __future__ import annotations

import base64
import ipaddress
import ssl
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import requests
from django.conf import settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from core.version import __version__

USER_AGENT = f"Cronsched/{__version__}"
# Seconds that a synchronous call may take to connect, and between two bytes of its answer.
TIMEOUT = 15.0


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization`: the value of Proxy-Authorization, '' without credentials."""

    host: str
    port: int
    authorization: str


@cache
def tls_context() -> ssl.SSLContext:
    """The TLS context of every call without certificates of its own."""
    return new_tls_context()


def new_tls_context() -> ssl.SSLContext:
    """A TLS context that trusts the system's certificate authorities and those in `OUTBOUND_CA_FILE`."""
    context = ssl.create_default_context()
    if settings.OUTBOUND_CA_FILE:
        context.load_verify_locations(settings.OUTBOUND_CA_FILE)
    return context


def proxy_for(host: str) -> Proxy | None:
    """The proxy through which a host is called; None if it is called directly."""
    url = settings.OUTBOUND_PROXY
    return _proxy_for(host, url, tuple(settings.NO_PROXY)) if url else None


@lru_cache(maxsize=4096)
def _proxy_for(host: str, url: str, direct: tuple[str, ...]) -> Proxy | None:
    if _is_direct(host.strip("[]").lower().rstrip("."), direct):
        return None
    parts = urlsplit(url)
    authorization = ""
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = "Basic " + base64.b64encode(secret).decode()
    return Proxy(parts.hostname or "", parts.port or 3128, authorization)


def _is_direct(host: str, entries: tuple[str, ...]) -> bool:
    """Whether an entry of `NO_PROXY` covers a host: `*`, a name and all names below it, an address, or a network."""
    for entry in entries:
        name = entry.lower().lstrip("*").lstrip(".").rstrip(".")
        if entry == "*" or host == name or (name and host.endswith(f".{name}")):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def call(method: str, url: str, **request: Any) -> requests.Response:
    """One synchronous call, which follows no redirect and heeds no environment variable. `request`: further arguments
    of requests. Raises `requests.RequestException`.
    """
    with requests.Session() as session:
        session.trust_env = False
        session.headers["User-Agent"] = USER_AGENT
        session.verify = ca_bundle()
        return session.request(
            method, url, timeout=TIMEOUT, proxies=_proxies_for(url), allow_redirects=False, **request
        )


def _proxies_for(url: str) -> dict[str, str]:
    """The `proxies` argument of requests for a URL."""
    host = urlsplit(url).hostname or ""
    return {"http": settings.OUTBOUND_PROXY, "https": settings.OUTBOUND_PROXY} if proxy_for(host) else {}


def ca_bundle() -> str | bool:
    """The certificate authorities as a file for libraries that take one; True for the default ones."""
    return _bundle(settings.OUTBOUND_CA_FILE) if settings.OUTBOUND_CA_FILE else True


@lru_cache(maxsize=2)
def _bundle(ca_file: str) -> str:
    """The default authorities and those of a file, joined in one file of the data directory."""
    joined = settings.CRONSCHED_DATA_DIR / "outbound-ca.pem"
    with open(DEFAULT_CA_BUNDLE_PATH, "rb") as default, open(ca_file, "rb") as own:
        content = default.read() + b"\n" + own.read()
    if not joined.exists() or joined.read_bytes() != content:
        draft = joined.with_suffix(".new")
        draft.write_bytes(content)
        draft.replace(joined)
    return str(joined)
