"""Parts of a webhook's request: the one after a redirect, a credential's headers, the query, form fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin

import orjson
from yarl import URL

from core.headers import is_value
from executions.http.client import Request
from executions.http.connection import Reply
from executions.targets.webhook import callback
from executions.targets.webhook.authentication import Proof
from settings_app.sent_secrets import Refused

_CREDENTIAL_HEADERS = frozenset(["authorization", "cookie"])
# Header names that `executions.http.client` writes itself, unless they are there in this spelling.
_CANONICAL = {name.lower(): name for name in ("Accept", "Accept-Encoding", "Authorization", "User-Agent")}


def redirected(request: Request, reply: Reply) -> Request:
    """The request that follows a redirect. To another origin it carries neither credentials nor secrets. Raises
    `Refused`.
    """
    here = URL(request.url)
    try:
        # As it is written: signed URLs depend on their encoding.
        location = urljoin(request.url, reply.location).partition("#")[0]
        there = URL(location)
    except ValueError:
        raise Refused(f"the answer {reply.status} redirects to an address that is no URL") from None
    if there.scheme not in {"http", "https"} or not there.host:
        raise Refused(f"the answer {reply.status} redirects to an address that is no URL of http or https")
    changed = request.changed(url=location, trusted=False)
    # Fetch standard, "HTTP-redirect fetch": POST becomes GET after 301 and 302, every method but HEAD after 303.
    if (reply.status in {301, 302} and request.method == "POST") or (reply.status == 303 and request.method != "HEAD"):
        kept = {name: value for name, value in changed.headers.items() if name.lower() != "content-type"}
        changed = changed.changed(method="GET", body=None, headers=kept)
    if there.origin() == here.origin():
        return changed
    hide = request.hide
    body = (changed.body or b"").decode(errors="replace")
    if hide(body) != body:
        raise Refused(f"the answer {reply.status} redirects to {there.host}, which would get a secret of the body")
    kept = {
        name: value
        for name, value in changed.headers.items()
        if name.lower() not in _CREDENTIAL_HEADERS and (name == callback.HEADER or hide(value) == value)
    }
    return changed.changed(headers=kept, certificates=None)


def authenticated(request: Request, proof: Proof) -> Request:
    """A request with the headers of a credential."""
    if not proof.headers:
        return request
    secrets = (*request.secrets, *proof.secrets)
    require_values(proof.headers)
    extended = request.extended(proof.headers, secrets=secrets)
    if extended is not None:
        return extended
    headers = dict(request.headers)
    add_headers(headers, proof.headers)
    return request.changed(headers=headers, secrets=secrets)


def add_headers(headers: dict[str, str], more: Mapping[str, str]) -> None:
    """Add headers, which replace those of the same name."""
    names = {name.lower(): name for name in headers}
    for name, value in more.items():
        headers.pop(names.get(name.lower(), name), None)
        headers[_CANONICAL.get(name.lower(), name)] = value


def require_values(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not is_value(value):
            raise Refused(f"the value of the header {name} holds characters that no header can")


def with_query(url: str, query: Mapping[str, str]) -> str:
    """A URL with parameters appended to its query, which stays as it is written."""
    rest, hash_sign, fragment = url.partition("#")
    joint = "" if rest.endswith(("?", "&")) else "&" if "?" in rest else "?"
    return f"{rest}{joint}{urlencode(query)}{hash_sign}{fragment}"


def form_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as form fields: lists become several fields, other values JSON unless they are text."""
    return {
        name: [_form_text(one) for one in value] if isinstance(value, list) else _form_text(value)
        for name, value in metadata.items()
    }


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
