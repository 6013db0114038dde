"""Whether a GitHub token may be used: by whom, for which repository and workflow, for jobs of which team, how often."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, NamedTuple
from uuid import UUID

from core.api.errors import Forbidden, invalid_field
from settings_app.models import CredentialRights, EnvironmentToken, GitHubCredential

_PATTERN = re.compile(r"[A-Za-z0-9_.-]+/(?:\*|[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)?)", re.ASCII)
# Dispatches and rows of a file come in bursts.
_KEPT_SECONDS = 1.0
_kept: dict[UUID | None, tuple[float, Rights]] = {}
_lock = threading.Lock()


class Rights(NamedTuple):
    """What a token may be used for; empty means everything. Its budget: see `executions.budgets`."""

    title: str
    name: str
    usable_by: str
    patterns: tuple[str, ...]
    teams: frozenset[UUID]
    at_once: int
    per_minute: int
    hold_limit_seconds: int

    def covers(self, repository: str) -> bool:
        """Whether some workflow of `owner/repo` may be dispatched."""
        owner, repo = repository.lower().split("/", 1)
        parts = [pattern.split("/") for pattern in self.patterns]
        return not parts or any(one[0] == owner and (len(one) < 2 or one[1] in {"*", repo}) for one in parts)

    def refusal(self, workflow: str, team: UUID | None) -> str:
        """Why a job of this team may not dispatch `owner/repo/workflow` with the token; '' if it may."""
        if self.patterns and not any(_matches(pattern, workflow.lower()) for pattern in self.patterns):
            return f"{self.title} may not be used for {workflow}: an admin names its repositories"
        return self.team_refusal(team)

    def team_refusal(self, team: UUID | None) -> str:
        """Why jobs of this team may not use the token; '' if they may."""
        if self.teams and team is None:
            return f"{self.title} is for the jobs of some PIC teams: choose the PIC team"
        if self.teams and team not in self.teams:
            return f"{self.title} may not be used by this PIC team: an admin names its teams"
        return ""


def rights_of(credential_id: UUID | None) -> Rights:
    """The rights of a credential, or of GITHUB_TOKEN; changes by another process count after a second. Raises
    `GitHubCredential.DoesNotExist`.
    """
    with _lock:
        at, kept = _kept.get(credential_id, (0.0, None))
    if kept and time.monotonic() - at < _KEPT_SECONDS:
        return kept
    row: CredentialRights
    if credential_id is None:
        stored = EnvironmentToken.objects.first()
        title, row = "GITHUB_TOKEN", stored or EnvironmentToken(repositories="")
        teams = frozenset(row.teams.values_list("pk", flat=True)) if stored else frozenset()
    else:
        row = GitHubCredential.objects.get(pk=credential_id)
        title = f"The credential '{row}'"
        teams = frozenset(row.teams.values_list("pk", flat=True))
    found = Rights(
        title,
        str(row),
        row.usable_by,
        tuple(row.repositories.lower().split()),
        teams,
        row.at_once,
        row.per_minute,
        row.hold_limit_seconds,
    )
    with _lock:
        _kept[credential_id] = time.monotonic(), found
    return found


def forget(**_: Any) -> None:
    """Called when rights change in this process."""
    with _lock:
        _kept.clear()


def check(credential_id: UUID | None, workflow: str, team: UUID | None, by: Any) -> None:
    """Raise `Insufficient permissions` if `by` may not use the token, and `Invalid payload` if it is not for this
    workflow or team. `by`: None for an operator's command.
    """
    rights = check_role(credential_id, by)
    reason = rights.refusal(workflow, team)
    if reason:
        raise invalid_field("github_credential", f"{reason}.")


def check_role(credential_id: UUID | None, by: Any) -> Rights:
    """The rights of a token. Raises `Insufficient permissions` if `by` may not use it."""
    rights = rights_of(credential_id)
    if by is not None and not by.is_admin and rights.usable_by == CredentialRights.Roles.ADMINS:
        raise Forbidden(
            "Insufficient permissions",
            f"{rights.title} is for admins: ask one of them, or choose another GitHub credential.",
            fields={"github_credential": [f"{rights.title} is for admins."]},
        )
    return rights


def cleaned(text: str) -> str:
    """Patterns, one a line. Raises `Invalid payload` for a line that is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if not _PATTERN.fullmatch(line):
            raise invalid_field(
                "repositories", f"'{line[:80]}' is no repository: write owner/repo, owner/* or owner/repo/workflow.yml."
            )
    return "\n".join(dict.fromkeys(lines))


def _matches(pattern: str, workflow: str) -> bool:
    owner, repo, name = workflow.split("/", 2)
    parts = pattern.split("/")
    if parts[0] != owner or (len(parts) > 1 and parts[1] not in {"*", repo}):
        return False
    # A workflow may be named without its extension.
    return len(parts) < 3 or name.rsplit(".", 1)[0] == parts[2].rsplit(".", 1)[0]
