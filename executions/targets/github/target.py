"""GitHub Actions workflows as targets: `owner/repo/workflow`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

import requests
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from yarl import URL

from core.api import payload
from core.api.errors import Conflict, DomainError, invalid_field
from core.findings import Finding
from executions import budgets
from executions.budgets import Budget
from executions.targets.base import Deliverable, DeliverableTarget, Outcome
from executions.targets.github import api, workflow_inputs
from executions.targets.github.dispatch import GitHubDispatch, inputs
from executions.targets.github.hints import hint
from jobs.content import Content
from jobs.field_traits import Column
from jobs.models import Job
from jobs.targets.kinds import Target, TargetField, text_of
from settings_app import credential_rights
from settings_app.models import GitHubCredential

_OWNER_REPO_WORKFLOW = re.compile(r"([^/.:?#\s]+)/([^/?#\s]+)/([^/?#\s]+)")
_DISPATCH = re.compile(
    r"(?:(?:https?://)?(?:www\.)?github\.com/|https?://api\.github\.com/repos/|/)"
    r"([^/\s]+)/([^/\s]+)/actions/workflows/([^/?#\s]+)(?:/dispatches)?/?(?:[?#].*)?",
    re.IGNORECASE,
)
_PAGE = re.compile(r"/[^/]+/[^/]+/(actions/workflows|blob/.+/\.github/workflows)/[^/]+/?")
_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_LONGEST = 100
_MOST_INPUTS, _LONGEST_INPUTS = 25, 65_535
_FIELDS = (
    TargetField("github_owner", _LONGEST, Column("GitHub Owner", ("owner", "github_owner"))),
    TargetField("github_repo", _LONGEST, Column("Repo", ("github repo", "github_repo")), searched=True),
    TargetField(
        "github_workflow_name",
        _LONGEST,
        Column("Workflow Name", ("github workflow name", "github_workflow_name")),
        searched=True,
    ),
)


@dataclass(frozen=True)
class GitHubTarget(DeliverableTarget):
    """A workflow; `github_workflow_name` is a file name (its extension may be left out) or a workflow's id."""

    kind: ClassVar[str] = "github_actions"
    short_name: ClassVar[str] = "github"
    label: ClassVar[Any] = gettext_lazy("A GitHub Actions workflow")
    noun: ClassVar[Any] = "GitHub Actions"
    fields: ClassVar[tuple[TargetField, ...]] = _FIELDS
    csv_only: ClassVar[dict[str, tuple[str, ...]]] = {
        "dispatch_url": ("dispatch url", "dispatch_url", "github dispatch url", "github_dispatch_url")
    }
    repeatable: ClassVar[bool] = False
    not_repeated: ClassVar[str] = (
        "the process that dispatched it ended before GitHub's answer; it is not repeated, as the workflow may "
        "have started"
    )
    accepts_token: ClassVar[bool] = True
    has_budget: ClassVar[bool] = True
    unsent: ClassVar[str] = "GitHub token not configured"

    github_owner: str
    github_repo: str
    github_workflow_name: str

    @classmethod
    def checked(cls, owner: str, repo: str, workflow: str, *, error: str = "Invalid payload") -> Self:
        """A target whose parts are valid path segments. Raises `Invalid` naming the part that is not."""
        for field, part in zip(cls.fields, (owner, repo, workflow), strict=True):
            if not _NAME.fullmatch(part) or part in {".", ".."} or len(part) > _LONGEST:
                raise invalid_field(
                    field.name,
                    f"'{part[:60]}' cannot be a part of a workflow's address: use letters, digits, '.', '_', '-'.",
                    error=error,
                )
        return cls(owner, repo, workflow)

    def check_metadata(self, metadata: Mapping[str, Any], *, error: str = "Invalid metadata") -> None:
        """GitHub refuses what goes beyond its limits with 422 at each dispatch (GitHub, "workflow_dispatch")."""
        given = inputs(dict(metadata))
        problem = ""
        if not isinstance(metadata.get("branchDetails") or "", str):
            problem = "'branchDetails' names the branch: it must be text."
        elif len(given) > _MOST_INPUTS:
            problem = f"A workflow takes at most {_MOST_INPUTS} inputs; these are {len(given)}."
        elif sum(len(name) + len(value) for name, value in given.items()) > _LONGEST_INPUTS:
            problem = f"The inputs of a workflow may have at most {_LONGEST_INPUTS} characters together."
        if problem:
            raise invalid_field("metadata", problem, error=error)

    @property
    def _parts(self) -> tuple[str, str, str]:
        return self.github_owner, self.github_repo, self.github_workflow_name

    def __str__(self) -> str:
        return f"{self.github_owner}/{self.github_repo}/{self.github_workflow_name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        owner, repo, workflow = text.split("/", 2)
        return cls(owner, repo, workflow)

    @classmethod
    def read(cls, data: Mapping[str, Any], *, default_owner: str) -> Self | None:
        owner, repo, workflow = (text_of(data, field) for field in cls.fields)
        owner = owner or default_owner
        return cls.checked(owner, repo, workflow) if owner and repo and workflow else None

    @classmethod
    def read_text(cls, text: str) -> Self | None:
        match = _OWNER_REPO_WORKFLOW.fullmatch(text)
        return cls.checked(*match.groups()) if match else None

    @classmethod
    def is_page(cls, url: str) -> bool:
        page = urlsplit(url)
        website = f"{page.scheme}://{page.netloc.removeprefix('www.')}"
        return website == _website() and bool(_PAGE.fullmatch(page.path))

    @classmethod
    def read_dispatch_url(cls, text: str, *, error: str = "Invalid payload") -> Self:
        """Parse a workflow URL or path in any of the accepted forms; see the contract, section 5."""
        match = _DISPATCH.fullmatch(text) or _OWNER_REPO_WORKFLOW.fullmatch(text)
        if match is None:
            raise invalid_field(
                "dispatch_url",
                "Write owner/repo/workflow, or the workflow's address on GitHub, such as"
                " https://github.com/owner/repo/actions/workflows/build.yml.",
                error=error,
            )
        return cls.checked(*match.groups(), error=error)

    @classmethod
    def read_first(cls, cells: Mapping[str, str]) -> Self | None:
        url = cells["dispatch_url"]
        return cls.read_dispatch_url(url, error="Invalid dispatch_url") if url else None

    @classmethod
    def read_row(cls, cells: Mapping[str, str], *, default_owner: str) -> Self | None:
        owner, repo, workflow = (cells[field.name] for field in cls.fields)
        if repo.count("/") == 1:
            in_repo, repo = repo.split("/")
            owner = owner or in_repo
        owner = owner or default_owner
        if not (repo and workflow):
            return None
        if not owner:
            raise invalid_field(
                "github_owner",
                "Write the repository's owner, or send 'default_github_owner'.",
                error="Missing GitHub owner",
            )
        return cls.checked(owner, repo, workflow, error="Missing target configuration")

    def check_credential(self, credential_id: UUID | None, team_id: UUID | None, by: Any) -> None:
        # Without a token there is nothing to protect.
        if credential_id is not None or settings.GITHUB_TOKEN:
            credential_rights.check(credential_id, str(self), team_id, by)

    def overridden(self, data: Mapping[str, Any]) -> Target:
        url = payload.text(data.get("dispatch_url"), "dispatch_url", limit=2048)
        base = self.read_dispatch_url(url) if url else self
        parts = [text_of(data, field) or getattr(base, field.name) for field in self.fields]
        return self.checked(*parts)

    def as_overrides(self) -> dict[str, str]:
        return {"dispatch_url": str(self)}

    @property
    def host(self) -> str:
        return str(settings.GITHUB_API_URL).split("/", 3)[2]

    def delivery(self, content: Content, job: Job, *, token: str = "") -> Deliverable:
        return GitHubDispatch(
            *self._parts,
            content.metadata,
            job.name,
            token,
            job.github_credential_id,
            content.ref,
            follow=job.wait_for_run and not token,
            team_id=job.pic_team_id,
        )

    def budget(self, job: Job) -> Budget | None:
        return budgets.budget_of(job.github_credential_id)

    def trial(self, content: Content, job: Job) -> Deliverable:
        name, team_id = job.name or "test run", job.pic_team_id
        return GitHubDispatch(*self._parts, content.metadata, name, follow=True, team_id=team_id)

    def trial_message(self, outcome: Outcome) -> str:
        return outcome.error or outcome.output

    def check(self, metadata: dict[str, Any], form: Mapping[str, str], credential_id: UUID | None) -> dict[str, Any]:
        """Whether the workflow file declares the inputs that the metadata gives."""
        dispatch = GitHubDispatch(*self._parts, metadata, "", branch=form.get("github_ref", "").strip())
        try:
            wrong = workflow_inputs.check(dispatch, credential_id)
        except workflow_inputs.Unreadable as exc:
            return {"ok": False, "message": str(exc)}
        return {"ok": not wrong, "message": " ".join(wrong) or _("The workflow takes these inputs.")}

    def cancel_run(self, run_id: int, job: Job) -> None:
        path = f"/repos/{self.github_owner}/{self.github_repo}/actions/runs/{run_id}/cancel"
        try:
            with api.asking(job.github_credential_id) as token:
                status = api.post(path, token).status_code
        except (api.NoToken, DomainError, requests.RequestException, UnicodeError) as exc:
            raise _not_cancelled(f"{api.reason(exc)}.") from exc
        if status == 409:
            raise _not_cancelled("GitHub says that it has ended already; its outcome will be here within a minute.")
        if status != 202:
            raise _not_cancelled(f"GitHub answered {status}. Cancel it on GitHub.")

    def enable(self, job: Job) -> None:
        """Enable the workflow on GitHub (GitHub REST: "Enable a workflow")."""
        dispatch = GitHubDispatch(*self._parts, {}, job.name)
        status = 404
        try:
            with api.asking(job.github_credential_id) as token:
                for name in dispatch.names():
                    path = f"/repos/{self.github_owner}/{self.github_repo}/actions/workflows/{name}/enable"
                    status = api.put(path, token).status_code
                    if status != 404:
                        break
        except (api.NoToken, DomainError, requests.RequestException, UnicodeError) as exc:
            raise Conflict("Not enabled", f"The workflow could not be enabled: {api.reason(exc)}.") from exc
        if status != 204:
            raise Conflict("Not enabled", f"GitHub answered {status}. Enable the workflow on its page on GitHub.")

    def remedy(self, status: int | None, answer: str) -> str:
        return hint(status or 0, answer)

    def page(self) -> str:
        """The page of the workflow's runs on GitHub."""
        return f"{self._repository_page()}/actions/workflows/{self.github_workflow_name}"

    def file_page(self) -> str:
        """The page of the workflow file on the default branch on GitHub; '' for a workflow that is named by its id."""
        name = self.github_workflow_name
        if name.isdigit():
            return ""
        file = name if "." in name else f"{name}.yml"
        return f"{self._repository_page()}/blob/HEAD/.github/workflows/{file}"

    def _repository_page(self) -> str:
        return f"{_website()}/{self.github_owner}/{self.github_repo}"

    @classmethod
    def online_findings(cls) -> Iterator[Finding]:
        """Doctor findings: credentials of active jobs that GitHub refuses."""
        jobs = Job.objects.active().filter(target_kind=cls.kind)
        names: dict[UUID | None, str] = dict(GitHubCredential.objects.values_list("pk", "name"))
        if jobs.filter(github_credential=None).exists():
            names[None] = "the environment's GITHUB_TOKEN"
        for pk, name in names.items():
            yield cls._credential_finding(pk, name)

    @staticmethod
    def _credential_finding(pk: UUID | None, name: str) -> Finding:
        try:
            token = api.token_of(pk)
            if not token:
                return Finding(
                    "GitHub",
                    "bad",
                    f"{name} is not set, but jobs need it.",
                    "Set GITHUB_TOKEN, or give the jobs a credential.",
                )
            status = api.get("/rate_limit", token).status_code
        except (api.NoToken, DomainError, requests.RequestException) as exc:
            return Finding(
                "GitHub", "bad", f"{name}: {type(exc).__name__}: {exc}", "Check GITHUB_API_URL and the network."
            )
        good = status == 200
        return Finding(
            "GitHub", "ok" if good else "bad", f"{name}: GitHub answers {status}", "" if good else "Store a new token."
        )


def _website() -> str:
    api_url = URL(settings.GITHUB_API_URL)
    return "https://github.com" if api_url.host == "api.github.com" else str(api_url.origin())


def _not_cancelled(reason: str) -> Conflict:
    return Conflict("Run not cancelled", f"The workflow run could not be cancelled: {reason}")
