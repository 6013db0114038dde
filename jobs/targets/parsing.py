"""Reading the target of a job from a request, whatever its kind. Exactly one target results, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.api import payload
from core.api.errors import Invalid, invalid_field
from jobs.targets import kinds
from jobs.targets.kinds import Target

_URL = "target_url"


def read_target(data: Mapping[str, Any], *, default_owner: str) -> Target | None:
    """The target that a request asks for; None if it names none, or only a part of one.

    `target_url` decides if it is given; text of another kind in its place, such as `owner/repo/workflow`, is read as that kind.
    A missing GitHub owner is `default_owner`. Raises `Invalid target_url`, or `Invalid payload` naming a field.
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
    """The target that a text in place of a URL means. Raises `Invalid target_url`.

    The kinds registered last are asked first: the first one, webhooks, takes any text for a URL.
    """
    for kind in reversed(kinds.registered()):
        found = kind.read_text(text)
        if found is not None:
            return found
    raise invalid_field(
        _URL, "This is not a URL; write one such as https://example.com/hook.", error="Invalid target_url"
    )


def read_row(cells: Mapping[str, str], *, default_owner: str) -> Target:
    """The target in the cells of a CSV row. Raises `Missing target configuration` without one."""
    if cells.get(_URL):
        return read_text(cells[_URL])
    for kind in kinds.registered():
        found = kind.read_row(cells, default_owner=default_owner)
        if found is not None:
            return found
    raise missing_target()


def changed_target(stored: Target, data: Mapping[str, Any], *, default_owner: str) -> Target | None:
    """The target of a job, `stored` until now, after an update; None if the request removes the only one."""
    own = stored.values()
    sent = {one.name: data[one.name] for one in kinds.fields() if one.name in data}
    url = sent.get(_URL)
    if isinstance(url, str) and url.strip() == own.get(_URL, "") != "":
        return stored
    if not url and _URL not in own and not sent.keys() - {_URL}:
        return stored
    # The other fields of a target stay as they are; the fields of another kind replace all of them.
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
        "Send 'target_url' for a webhook, or 'github_owner', 'github_repo' and 'github_workflow_name' for GitHub Actions.",
        fields={_URL: ["A target is required."]},
    )
