"""The record of requests and answers: the last call of each execution as it was sent, and what came back. Secrets are
replaced by their placeholders before anything is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from core.db.bulk import insert_new
from core.masking import MASK, is_placeholder, is_secret_name, masked_body, url_for
from executions.http.client import Request
from executions.http.connection import Reply
from executions.models import Exchange

# Characters of a body that are kept.
KEPT_CHARACTERS = 16 * 1024
_LONGEST_HEADER = 1000


Hide = Callable[..., str]


class Exchanged(NamedTuple):
    """A call and its answer; None while there is none."""

    request: Request
    reply: Reply | None = None


def store(exchanged: Iterable[tuple[UUID, Exchanged | None]]) -> None:
    """Store the calls of executions that made one, in the caller's transaction; one that is stored already stays."""
    rows = [(execution_id, orjson.dumps(shown(one)).decode()) for execution_id, one in exchanged if one]
    insert_new(Exchange, ("execution", "content"), rows)


def shown(exchanged: Exchanged) -> dict[str, Any]:
    """A call and its answer without secrets, as JSON: `{"request": {"method", "url", "headers", "body"}, "answer":
    {"status", "headers", "body", "timings", "address"}}`. Headers are lists of pairs, times are seconds.
    """
    request, reply = exchanged
    hide = request.hide
    found: dict[str, Any] = {
        "request": {
            "method": request.method,
            "url": hide(request.url),
            "headers": _hidden(request.headers.items(), hide),
            "body": _kept(request.body or b"", hide),
            "size": len(request.body or b""),
        }
    }
    if reply is not None:
        timings = reply.timings
        found["answer"] = {
            "status": reply.status,
            "headers": [[name, value[:_LONGEST_HEADER]] for name, value in _hidden(_decoded(reply), hide)],
            "body": _answered(reply, hide),
            "timings": {
                name: round(getattr(timings, name), 5) for name in ("dns", "connect", "tls", "first_byte", "total")
            },
            "address": timings.address,
        }
    return found


def _decoded(reply: Reply) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.head]


def _hidden(headers: Iterable[tuple[str, str]], hide: Hide) -> list[list[str]]:
    """Headers whose values hold no secret. Most hold none, which is seen for all of them at once."""
    found = [[name, value] for name, value in headers]
    together = "\n".join([value for _, value in found])
    return found if hide(together) == together else [[name, hide(value)] for name, value in found]


def _kept(body: bytes, hide: Hide) -> str:
    # A secret may go through the end of what is kept: it is hidden before the text is cut.
    return hide(body[: 8 * KEPT_CHARACTERS].decode(errors="replace"))[:KEPT_CHARACTERS]


def _answered(reply: Reply, hide: Hide) -> str:
    return hide(reply.text, is_cut=reply.is_cut)[:KEPT_CHARACTERS] if reply.is_kept else ""


_COOKIES = frozenset(["cookie", "set-cookie"])
_AUTHORIZATIONS = frozenset(["authorization", "proxy-authorization"])


def readable(record: dict[str, Any], *, is_owner: bool) -> dict[str, Any]:
    """A record for a reader: credentials and the values of secret-sounding names are masked; for who may not read the
    job's secrets also the URL's query.
    """
    found: dict[str, Any] = {"answer": None, **record}
    for part in [one for one in (found["request"], found["answer"]) if one]:
        part["headers"] = [[name, _header(name, value, is_owner=is_owner)] for name, value in part["headers"]]
        part["body"] = masked_body(part["body"])
    found["request"]["url"] = url_for(found["request"]["url"], is_owner=is_owner)
    return found


def _header(name: str, value: str, *, is_owner: bool) -> str:
    low = name.lower()
    if low in _AUTHORIZATIONS:
        # The scheme and the placeholder of a credential tell nothing.
        scheme, _, rest = value.partition(" ")
        return value if is_placeholder(rest) else f"{scheme} {MASK}" if rest else MASK
    if low in _COOKIES or (is_secret_name(name) and not is_placeholder(value)):
        return MASK
    return url_for(value, is_owner=is_owner) if low in {"location", "referer"} else value


def of(execution_id: UUID) -> dict[str, Any] | None:
    """The stored call of an execution; None without one."""
    content = Exchange.objects.filter(pk=execution_id).values_list("content", flat=True).first()
    found: dict[str, Any] | None = orjson.loads(content) if content else None
    return found
