"""Parses the target of a job from a request, for every kind. The result is exactly one target, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.api import payload
from core.api.errors import Invalid, invalid_field
from jobs.targets import kinds
from jobs.targets.kinds import Target

_URL = "target_url"


def read_target(data: Mapping[str, Any], *, default_owner: str) -> Target | None:
    """The target of a request; None if it is missing or incomplete.

    `target_url` takes precedence; text of another kind in its place, such as `owner/repo/workflow`, is parsed as that
    kind. A missing GitHub owner is `default_owner`. Raises `Invalid target_url`, or `Invalid payload` naming a field.
    """
    url = payload.text(data.get(_URL), _URL, limit=2048, error="Invalid target_url")
    if url:
        return read_text(url)
    for kind in kinds.registered():
        found = kind.read(data, default_owner=default_owner)
        if found is not None:
            return found
    return None


def read_text(text: str) -> Target:
    """The target that a text in place of a URL denotes. Raises `Invalid target_url`.

    Kinds that were registered later are asked first, because the first one, webhooks, reads any text as a URL.
    """
    for kind in reversed(kinds.registered()):
        found = kind.read_text(text)
        if found is not None:
            return found
    raise invalid_field(
        _URL, "This is not a URL; write one such as https://example.com/hook.", error="Invalid target_url"
    )


def read_row(cells: Mapping[str, str], *, default_owner: str) -> Target:
    """The target of a CSV row. Raises `Missing target configuration` without one."""
    if cells.get(_URL):
        return read_text(cells[_URL])
    for kind in kinds.registered():
        found = kind.read_row(cells, default_owner=default_owner)
        if found is not None:
            return found
    raise missing_target()


def changed_target(stored: Target, data: Mapping[str, Any], *, default_owner: str) -> Target | None:
    """The target of a job after an update, `stored` before it; None if the request removes the only one."""
    own = stored.values()
    sent = {one.name: data[one.name] for one in kinds.fields() if one.name in data}
    url = sent.get(_URL)
    if isinstance(url, str) and url.strip() == own.get(_URL, "") != "":
        return stored
    if not url and _URL not in own and not sent.keys() - {_URL}:
        return stored
    # Other fields of the same kind stay unchanged; fields of another kind replace the whole target.
    kept = own if _URL not in own and not _names_another_kind(stored, sent) else {}
    asked = read_target({**kept, **sent}, default_owner=default_owner)
    if asked is None and _URL in own and _URL not in data:
        return stored
    return asked


def _names_another_kind(stored: Target, sent: Mapping[str, Any]) -> bool:
    own = {one.name for one in stored.fields}
    return any(value for name, value in sent.items() if name not in own)


def missing_target() -> Invalid:
    return Invalid(
        "Missing target configuration",
        "Send 'target_url' for a webhook, or 'github_owner', 'github_repo' and 'github_workflow_name' for GitHub "
        "Actions.",
        fields={_URL: ["A target is required."]},
    )
