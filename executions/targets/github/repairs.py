"""Refusals of a dispatch that can be put right at once: a workflow that GitHub has disabled because nobody committed
for 60 days, and a job without a branch whose repository has no `master`. A refusal (422) started nothing.

GitHub REST: "Get a workflow", "Enable a workflow", "Get a repository".
"""

from __future__ import annotations

import json
from typing import NamedTuple

from django.conf import settings

from executions.http.client import Request
from executions.http.connection import Reply
from executions.targets.base import Send
from executions.targets.github import api as github_api

INACTIVE = "disabled_inactivity"
ENABLED = "GitHub had disabled the workflow for inactivity: it was enabled and dispatched again."
_DISABLED = "disabled workflow"
_NO_REF = "No ref found for"


class Repair(NamedTuple):
    """What was put right, and so can be dispatched again: on another branch, '' for the same. `note`: what was done,
    for the execution.
    """

    branch: str
    note: str


class Refused(NamedTuple):
    """A dispatch that GitHub refused. `repository`: `owner/repo`. `may_change_branch`: the job names none itself."""

    repository: str
    workflow: str
    ref: str
    may_change_branch: bool


async def repaired(refused: Refused, reply: Reply, send: Send, token: str) -> Repair | None:
    """What to change before the dispatch is made again; None if the refusal is final. Raises `DeliveryError`."""
    if reply.status != 422:
        return None
    if _DISABLED in reply.text:
        return await _enabled(refused, send, token)
    if _NO_REF in reply.text and refused.may_change_branch:
        return await _on_default_branch(refused, send, token)
    return None


async def _enabled(refused: Refused, send: Send, token: str) -> Repair | None:
    path = f"/repos/{refused.repository}/actions/workflows/{refused.workflow}"
    state = _field(await send(_request("GET", path, token)), "state")
    if state != INACTIVE:
        return None
    enabled = await send(_request("PUT", f"{path}/enable", token))
    return Repair("", ENABLED) if enabled.status == 204 else None


async def _on_default_branch(refused: Refused, send: Send, token: str) -> Repair | None:
    branch = _field(await send(_request("GET", f"/repos/{refused.repository}", token)), "default_branch")
    if not branch or branch == refused.ref:
        return None
    return Repair(
        branch, f"There is no branch {refused.ref}: it was dispatched on the repository's default branch, {branch}."
    )


def _request(method: str, path: str, token: str) -> Request:
    return Request(method, f"{settings.GITHUB_API_URL}{path}", github_api.headers(token), None, trusted=True)


def _field(reply: Reply, name: str) -> str:
    try:
        told = json.loads(reply.text) if reply.status == 200 else {}
        value = told.get(name) if isinstance(told, dict) else None
    except ValueError:
        return ""
    return value[:255] if isinstance(value, str) else ""
