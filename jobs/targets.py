"""Where a job is delivered: a webhook, or a GitHub Actions workflow. Exactly one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from contract import payload
from contract.errors import Invalid, invalid_field
from jobs import target_policy

_OWNER_REPO_WORKFLOW = re.compile(r"([^/.:?#\s]+)/([^/?#\s]+)/([^/?#\s]+)")
_DISPATCH = re.compile(
    r"(?:(?:https?://)?(?:www\.)?github\.com/|https?://api\.github\.com/repos/|/)"
    r"([^/\s]+)/([^/\s]+)/actions/workflows/([^/?#\s]+)(?:/dispatches)?/?(?:[?#].*)?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
GITHUB_FIELDS = ("github_owner", "github_repo", "github_workflow_name")


@dataclass(frozen=True)
class WebhookTarget:
    """An HTTP call of `url`."""

    url: str

    def columns(self) -> dict[str, str]:
        return {"target_url": self.url, **dict.fromkeys(GITHUB_FIELDS, "")}

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class GitHubTarget:
    """A workflow dispatch; `workflow` is a file name (its extension may be left out) or a workflow's id."""

    owner: str
    repo: str
    workflow: str

    def columns(self) -> dict[str, str]:
        return {
            "target_url": "",
            "github_owner": self.owner,
            "github_repo": self.repo,
            "github_workflow_name": self.workflow,
        }

    def __str__(self) -> str:
        return f"{self.owner}/{self.repo}/{self.workflow}"


Target: TypeAlias = WebhookTarget | GitHubTarget


def read_target(data: Mapping[str, Any], *, default_owner: str) -> Target | None:
    """The target that a request asks for; None where it names none or only a part of one.

    A URL given decides; `owner/repo/workflow` in its place is a GitHub target; a missing owner is `default_owner`.
    Raises `Invalid target_url`, or `Invalid payload` naming a GitHub field.
    """
    url = payload.text(data.get("target_url"), "target_url", limit=2048, error="Invalid target_url")
    if url:
        return read_url(url)
    owner, repo, workflow = (payload.text(data.get(name), name, limit=100) for name in GITHUB_FIELDS)
    owner = owner or default_owner
    if not (owner and repo and workflow):
        return None
    return github_target(owner, repo, workflow)


def read_url(url: str) -> Target:
    """A webhook's URL, or `owner/repo/workflow` for GitHub."""
    match = _OWNER_REPO_WORKFLOW.fullmatch(url)
    return github_target(*match.groups()) if match else WebhookTarget(target_policy.check_url(url))


def read_dispatch_url(text: str, *, field: str = "dispatch_url", error: str = "Invalid payload") -> GitHubTarget:
    """A workflow in any of the forms in which people copy it; see the contract, section 5."""
    match = _DISPATCH.fullmatch(text) or _OWNER_REPO_WORKFLOW.fullmatch(text)
    if match is None:
        raise invalid_field(
            field,
            "Write owner/repo/workflow, or the workflow's address on GitHub, such as"
            " https://github.com/owner/repo/actions/workflows/build.yml.",
            error=error,
        )
    return github_target(*match.groups(), error=error)


def github_target(owner: str, repo: str, workflow: str, *, error: str = "Invalid payload") -> GitHubTarget:
    """A GitHub target whose parts can stand in a path."""
    for name, part in zip(GITHUB_FIELDS, (owner, repo, workflow), strict=True):
        if not _NAME.fullmatch(part) or part in {".", ".."} or len(part) > 100:
            raise invalid_field(
                name,
                f"'{part[:60]}' cannot be a part of a workflow's address: use letters, digits, '.', '_', '-'.",
                error=error,
            )
    return GitHubTarget(owner, repo, workflow)


def missing_target() -> Invalid:
    return Invalid(
        "Missing target configuration",
        "Send 'target_url' for a webhook, or 'github_owner', 'github_repo' and 'github_workflow_name' for GitHub Actions.",
        fields={"target_url": ["A target is required."]},
    )
