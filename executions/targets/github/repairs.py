"""Refusals of a dispatch that can be put right at once: a workflow that GitHub has disabled because nobody committed
for 60 days, and a job without a branch whose repository has no `master`. A refusal (422) started nothing.

GitHub REST: "Get a workflow", "Enable a workflow", "Get a repository".
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

import requests

from executions.http.connection import Reply
from executions.targets.github import api as github_api
from executions.targets.github.limits import RateLimited

log = logging.getLogger("cronsched.github")
INACTIVE = "disabled_inactivity"
ENABLED = "GitHub had disabled the workflow for inactivity: it was enabled and dispatched again."
ACTIVE_AGAIN = "GitHub had disabled the workflow, which is active again: it was dispatched again."
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


async def repaired(refused: Refused, reply: Reply, token: str) -> Repair | None:
    """What to change before the dispatch is made again; None if the refusal is final. Raises `RateLimited`."""
    if reply.status != 422:
        return None
    try:
        if _DISABLED in reply.text:
            return await asyncio.to_thread(_enabled, refused, token)
        if _NO_REF in reply.text and refused.may_change_branch:
            return await asyncio.to_thread(_on_default_branch, refused, token)
    except RateLimited:
        raise
    except (requests.RequestException, ValueError) as exc:
        log.warning("a refused dispatch could not be put right: %s", type(exc).__name__)
    return None


def _enabled(refused: Refused, token: str) -> Repair | None:
    path = f"/repos/{refused.repository}/actions/workflows/{refused.workflow}"
    state = _field(github_api.get(path, token), "state")
    if state == "active":
        # Another job of the same workflow, or a person, was faster.
        return Repair("", ACTIVE_AGAIN)
    if state != INACTIVE:
        return None
    return Repair("", ENABLED) if github_api.put(f"{path}/enable", token).status_code == 204 else None


def _on_default_branch(refused: Refused, token: str) -> Repair | None:
    branch = _field(github_api.get(f"/repos/{refused.repository}", token), "default_branch")
    if not branch or branch == refused.ref:
        return None
    return Repair(
        branch, f"There is no branch {refused.ref}: it was dispatched on the repository's default branch, {branch}."
    )


def _field(answer: requests.Response, name: str) -> str:
    told = answer.json() if answer.status_code == 200 else {}
    value = told.get(name) if isinstance(told, dict) else None
    return value[:255] if isinstance(value, str) else ""
