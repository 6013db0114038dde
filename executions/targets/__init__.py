"""Kinds of targets. A new kind is one file here and one line in `deliverable`."""

from __future__ import annotations

from typing import Any

from executions.models import ExecutionType
from executions.targets.base import Deliverable, Outcome, Send
from executions.targets.github import GitHubDispatch
from executions.targets.webhook import Webhook
from jobs.models import Job
from jobs.targets import GitHubTarget, Target


def deliverable(
    target: Target, metadata: dict[str, Any], job: Job | None = None, *, job_name: str = "", github_token: str = ""
) -> Deliverable:
    """What carries a job's settings to its target; `github_token` is that of a single run."""
    if not isinstance(target, GitHubTarget):
        return Webhook(target.url, metadata)
    if job is None:
        return GitHubDispatch(target, metadata, job_name, github_token, follow=True)
    return GitHubDispatch(
        target,
        metadata,
        job.name,
        github_token,
        job.github_credential_id,
        job.github_ref,
        follow=job.wait_for_run and not github_token,
    )


def type_of(target: Target) -> ExecutionType:
    """The kind of a target, as executions name it."""
    return ExecutionType.GITHUB if isinstance(target, GitHubTarget) else ExecutionType.WEBHOOK


__all__ = ["Deliverable", "GitHubDispatch", "Outcome", "Send", "Webhook", "deliverable", "type_of"]
