"""GitHub Actions: a workflow dispatch (GitHub REST: "Create a workflow dispatch event")."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import orjson
from django.conf import settings

from executions.http import Request
from executions.targets.base import Outcome, Send
from executions.wire import Reply
from jobs.targets import GitHubTarget

DEFAULT_REF = "master"


@dataclass(frozen=True)
class GitHubDispatch:
    """One dispatch. The token never shows in a repr, a log or an outcome."""

    repeatable: ClassVar[bool] = False

    target: GitHubTarget
    metadata: dict[str, Any]
    job_name: str
    token: str = field(default="", repr=False)

    async def deliver(self, send: Send, execution_id: UUID) -> Outcome:
        if not self.token:
            return Outcome(
                False, error=f"GitHub token not configured. Cannot trigger workflow for job '{self.job_name}'"
            )
        for workflow in self._names():
            reply = await send(self.request(workflow))
            if reply.status != 404:
                break
        return self._outcome(reply, workflow)

    def request(self, workflow: str) -> Request:
        """The dispatch of one workflow file."""
        owner, repo = self.target.owner, self.target.repo
        return Request(
            "POST",
            f"{settings.GITHUB_API_URL}/repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches",
            {
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "Content-Type": "application/json",
            },
            orjson.dumps({"ref": self.ref, "inputs": inputs(self.metadata)}),
            trusted=True,
        )

    @property
    def ref(self) -> str:
        """The branch or tag: `metadata.branchDetails`, else `master`."""
        return str(self.metadata.get("branchDetails") or DEFAULT_REF)

    def _names(self) -> list[str]:
        name = self.target.workflow
        return [name] if "." in name or name.isdigit() else [name, f"{name}.yml", f"{name}.yaml"]

    def _outcome(self, reply: Reply, workflow: str) -> Outcome:
        called = str(GitHubTarget(self.target.owner, self.target.repo, workflow))
        if reply.status in {200, 204}:
            return Outcome(True, reply.status, f"Workflow triggered successfully on branch {self.ref}", target=called)
        error = f"GitHub Actions dispatch failed. Status: {reply.status}, Response: {reply.text}"
        # None of the names was found: say so of the one that the job has.
        return Outcome(
            False,
            reply.status,
            reply.text,
            error,
            str(self.target) if reply.status == 404 else called,
            # After a refusal nothing has started; a server error may come after the start.
            repeatable=reply.status < 500,
            retry_after=reply.retry_after,
        )


def inputs(metadata: dict[str, Any]) -> dict[str, str]:
    """Metadata as workflow inputs: text as it is, all else as JSON writes it, for GitHub takes text only."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
    }
