"""A stored call and its answer as a page shows them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from executions import exchanges

# What a request holds that another one gets by itself.
_NOT_COPIED = frozenset(["idempotency-key", "traceparent", "webhook-id", "webhook-signature", "webhook-timestamp"])


def context(stored: dict[str, Any] | None, *, is_owner: bool) -> dict[str, Any]:
    """The record of an execution; `is_owner`: for who may read the job's secrets."""
    if stored is None:
        return {}
    record = exchanges.readable(stored, is_owner=is_owner)
    request, answer = record["request"], record["answer"]
    shown: dict[str, Any] = {
        "request": {
            "line": f"{request['method']} {request['url']}",
            "headers": lines(request["headers"]),
            "body": pretty(request["body"]),
            "is_cut": request["size"] > len(request["body"]) >= exchanges.KEPT_CHARACTERS,
        },
        "curl": curl(request),
    }
    if answer is not None:
        shown["answer"] = {**answer, "headers": lines(answer["headers"]), "body": pretty(answer["body"])}
    return shown


def lines(headers: Sequence[Sequence[str]]) -> str:
    """Headers as lines."""
    return "\n".join(f"{name}: {value}" for name, value in headers)


def written(request: dict[str, Any]) -> str:
    """A request as it is written in HTTP/1.1, for people."""
    head = f"{request['method']} {request['url']}\n{lines(request['headers'])}"
    return f"{head}\n\n{request['body']}" if request["body"] else head


def pretty(text: str) -> str:
    """JSON with indents; other text as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return indented(json.loads(text))
    except (ValueError, RecursionError):
        return text


def indented(value: Any) -> str:
    """A JSON value with indents; single surrogates, which JSON can contain, are shown as question marks."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "replace").decode()


def curl(request: dict[str, Any]) -> str:
    """The call as a command of curl(1)."""
    parts = [f"curl -X {request['method']} {shlex.quote(request['url'])}"]
    for name, value in request["headers"]:
        if name.lower() not in _NOT_COPIED and not name.lower().startswith("x-cronsched-"):
            parts.append(f"-H {shlex.quote(f'{name}: {value}')}")
    if request["body"]:
        parts.append(f"--data-raw {shlex.quote(request['body'])}")
    return " \\\n  ".join(parts)
