"""Kinds of targets. A new kind is one file here and one line in `deliverable`."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from executions.models import ExecutionType
from executions.targets.base import Deliverable, Outcome, Send
from executions.targets.github import GitHubDispatch
from executions.targets.webhook import Webhook
from jobs.targets import GitHubTarget, Target


def deliverable(target: Target, metadata: dict[str, Any], *, job_name: str, github_token: str = "") -> Deliverable:
    """What carries a job's settings to its target."""
    if isinstance(target, GitHubTarget):
        return GitHubDispatch(target, metadata, job_name, github_token or settings.GITHUB_TOKEN)
    return Webhook(target.url, metadata)


def type_of(target: Target) -> ExecutionType:
    """The kind of a target, as executions name it."""
    return ExecutionType.GITHUB if isinstance(target, GitHubTarget) else ExecutionType.WEBHOOK


__all__ = ["Deliverable", "GitHubDispatch", "Outcome", "Send", "Webhook", "deliverable", "type_of"]
