"""The parts of a target's URL that a call needs."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from yarl import URL

from executions.http.connection import DeliveryError

# Reserved and unreserved characters and the percent sign (RFC 3986 section 2).
_URL_CHARACTERS = "!#$%&'()*+,-./:;=?@[]_~"
# What nearly all URLs look like. Thousands of jobs have each their own, and this takes a fifth of a parser's time.
_COMMON = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9][0-9]{0,4}))?([/?][!$%&'()*+,./:;=?@\[\]_~A-Za-z0-9-]*)?",
    re.ASCII,
)
_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65_535


class Address(NamedTuple):
    """The parts of a URL: `authority` is `host:port` as in the Host header, `path` the request target, `authorization`
    the header line of its user and password.
    """

    is_tls: bool
    host: str
    port: int
    authority: str
    path: str
    authorization: str = ""


def address_of(text: str) -> Address:
    """The parts of a URL. Raises `DeliveryError` for a text that is none of http or https."""
    found = _COMMON.fullmatch(text)
    if found is None or int(found[3] or 0) > _LARGEST_PORT:
        return _read(text)
    scheme, host, port, path = found.groups("")
    number, usual = int(port or 0), _PORTS[scheme]
    return Address(
        scheme == "https",
        host,
        number or usual,
        host if number in {0, usual} else f"{host}:{port}",
        path if path.startswith("/") else f"/{path}",
    )


@lru_cache(maxsize=4096)
def _read(text: str) -> Address:
    try:
        url = URL(text)
    except ValueError:
        raise DeliveryError("the address is not a URL", "") from None
    if url.scheme not in {"http", "https"} or not url.raw_host or not url.port:
        raise DeliveryError("the address is not a URL of http or https", "")
    authorization = ""
    if url.raw_user is not None or url.raw_password is not None:
        secret = f"{unquote(url.raw_user or '')}:{unquote(url.raw_password or '')}".encode()
        authorization = f"Authorization: Basic {base64.b64encode(secret).decode()}\r\n"
    authority = url.host_port_subcomponent or ""
    return Address(url.scheme == "https", url.raw_host, url.port, authority, _request_target(text), authorization)


def _request_target(text: str) -> str:
    """Path and query as they are written. Reserved characters and their encodings are not equivalent (RFC 3986 section
    2.2), and signed URLs depend on the difference; only characters that no URL can hold are encoded.
    """
    rest = text.partition("://")[2].partition("#")[0]
    begin = next((index for index, character in enumerate(rest) if character in "/?"), len(rest))
    path = quote(rest[begin:], safe=_URL_CHARACTERS)
    return path if path.startswith("/") else f"/{path}"
