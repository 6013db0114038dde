"""Refusals of a dispatch that can be put right at once: a workflow that GitHub has disabled because nobody committed
for 60 days, and a job without a branch whose repository has no `master`. A refusal (422) started nothing.

GitHub REST: "Get a workflow", "Enable a workflow", "Get a repository".
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

from executions.http.client import Request
from executions.http.connection import Reply
from executions.targets.base import Send
from executions.targets.github import api as github_api

if TYPE_CHECKING:
    from executions.targets.github.dispatch import GitHubDispatch

INACTIVE = "disabled_inactivity"
ENABLED = "GitHub had disabled the workflow for inactivity: it was enabled and dispatched again."
_DISABLED = "disabled workflow"
_NO_REF = "No ref found for"


class Repair(NamedTuple):
    """The dispatch to make again, and what was done, for the execution."""

    dispatch: GitHubDispatch
    note: str


async def repaired(dispatch: GitHubDispatch, reply: Reply, workflow: str, send: Send, token: str) -> Repair | None:
    """What to dispatch after a refusal; None if it is final. Raises `DeliveryError`."""
    if reply.status != 422:
        return None
    if _DISABLED in reply.text:
        return await _enabled(dispatch, workflow, send, token)
    if _NO_REF in reply.text and not dispatch.has_own_ref:
        return await _on_default_branch(dispatch, send, token)
    return None


async def _enabled(dispatch: GitHubDispatch, workflow: str, send: Send, token: str) -> Repair | None:
    path = f"/repos/{dispatch.owner}/{dispatch.repo}/actions/workflows/{workflow}"
    state = _field(await send(_request("GET", path, token)), "state")
    if state != INACTIVE:
        return None
    enabled = await send(_request("PUT", f"{path}/enable", token))
    return Repair(dispatch, ENABLED) if enabled.status == 204 else None


async def _on_default_branch(dispatch: GitHubDispatch, send: Send, token: str) -> Repair | None:
    branch = _field(await send(_request("GET", f"/repos/{dispatch.owner}/{dispatch.repo}", token)), "default_branch")
    if not branch or branch == dispatch.ref:
        return None
    note = f"There is no branch {dispatch.ref}: it was dispatched on the repository's default branch, {branch}."
    return Repair(replace(dispatch, branch=branch), note)


def _request(method: str, path: str, token: str) -> Request:
    return Request(method, f"{settings.GITHUB_API_URL}{path}", github_api.headers(token), None, trusted=True)


def _field(reply: Reply, name: str) -> str:
    try:
        told = json.loads(reply.text) if reply.status == 200 else {}
        value = told.get(name) if isinstance(told, dict) else None
    except ValueError:
        return ""
    return value[:255] if isinstance(value, str) else ""
