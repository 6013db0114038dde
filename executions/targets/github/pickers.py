"""What the form of a job offers to choose from: the repositories that a credential reaches, their workflows and
branches, and the inputs of a workflow. Answers are kept for some minutes; each value can be typed as well.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import requests

from core.api.errors import DomainError
from executions.targets.github import api, workflow_inputs
from executions.targets.github.dispatch import GitHubDispatch
from settings_app.credential_rights import rights_of

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_KEPT_SECONDS = 300.0
_MOST_KEPT = 500
_MOST_PAGES, _PAGE = 10, 100
_kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
_lock = threading.Lock()


class Choices(NamedTuple):
    """What can be chosen. `inputs`: `{"name", "type", "options", "default", "required", "description"}` of each.
    `problem`: why something is missing; '' otherwise.
    """

    repositories: list[str]
    workflows: list[str]
    branches: list[str]
    inputs: list[dict[str, Any]]
    problem: str = ""


def choices(owner: str, repo: str, workflow: str, ref: str, credential_id: UUID | None) -> Choices:
    """What a credential, or GITHUB_TOKEN, offers for what is chosen so far ('' for nothing)."""
    problem, name = "", f"{owner}/{repo}" if _is_name(owner) and _is_name(repo) else ""
    found: dict[str, list[Any]] = {"repositories": [], "workflows": [], "branches": [], "inputs": []}
    try:
        with api.asking(credential_id) as token:
            if not token:
                raise api.NoToken("GITHUB_TOKEN is not set")
            _choose(found, name, GitHubDispatch(owner, repo, workflow, {}, "", branch=ref), credential_id, token)
    except (api.NoToken, DomainError, workflow_inputs.Unreadable) as exc:
        problem = str(exc)
    except (requests.RequestException, UnicodeError, ValueError, KeyError, TypeError, AttributeError) as exc:
        problem = f"{api.reason(exc)}."
    return Choices(**found, problem=problem)


def _choose(
    found: dict[str, list[Any]], name: str, dispatch: GitHubDispatch, credential_id: UUID | None, token: str
) -> None:
    """Fill in what can be chosen; `name`: the repository, '' for none yet. What was found before an error stays."""
    key, workflow = (credential_id,), dispatch.workflow
    found["repositories"] = _remembered(key, lambda: _repositories(token, credential_id))
    if name and not rights_of(credential_id).covers(name):
        raise api.NoToken("The credential may not be used for this repository: an admin names its repositories.")
    if name:
        found["workflows"] = _remembered((*key, name, "workflows"), lambda: _workflows(name, token))
        found["branches"] = _remembered((*key, name, "branches"), lambda: _branches(name, token))
    if name and _is_name(workflow):
        found["inputs"] = _remembered((*key, name, workflow, dispatch.branch), lambda: _inputs(dispatch, credential_id))


def _is_name(text: str) -> bool:
    """Whether a text can be a part of an address of GitHub's API."""
    return bool(_NAME.fullmatch(text)) and text.strip(".") != ""


def forget() -> None:
    """Drop what is kept."""
    with _lock:
        _kept.clear()


def _remembered(key: tuple[Any, ...], ask: Callable[[], list[Any]]) -> list[Any]:
    with _lock:
        at, found = _kept.get(key, (0.0, None))
    if found is not None and time.monotonic() - at < _KEPT_SECONDS:
        return list(found)
    found = ask()
    with _lock:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = time.monotonic(), found
    return list(found)


def _repositories(token: str, credential_id: UUID | None) -> list[str]:
    rights = rights_of(credential_id)
    is_app = token.startswith("ghs_")
    rows = _rows("/installation/repositories" if is_app else "/user/repos", "repositories", token)
    names = [str(one["full_name"]) for one in rows if not one.get("archived") and one.get("full_name")]
    return sorted(name for name in names if not rights.patterns or rights.covers(name))


def _workflows(name: str, token: str) -> list[str]:
    rows = _rows(f"/repos/{name}/actions/workflows", "workflows", token)
    paths = [str(one.get("path", "")) for one in rows]
    return sorted(path.rpartition("/")[2] for path in paths if path.startswith(".github/workflows/"))


def _branches(name: str, token: str) -> list[str]:
    default = api.get(f"/repos/{name}", token).json().get("default_branch")
    names = [str(one["name"]) for one in _rows(f"/repos/{name}/branches", "", token)]
    return sorted(names, key=lambda branch: (branch != default, branch))


def _inputs(dispatch: GitHubDispatch, credential_id: UUID | None) -> list[dict[str, Any]]:
    text = workflow_inputs.file_of(dispatch, credential_id)
    found = []
    for name, spec in workflow_inputs.declared(text).items():
        options = [one for one in spec.get("options") or [] if isinstance(one, str)]
        kind = str(spec.get("type", "string"))
        if kind == "environment":
            repository = f"{dispatch.owner}/{dispatch.repo}"
            rows = _rows(f"/repos/{repository}/environments", "environments", api.token_of(credential_id))
            options = [str(one["name"]) for one in rows]
        found.append(
            {
                "name": name,
                "type": kind,
                "options": options,
                "default": spec.get("default") if isinstance(spec.get("default"), str) else "",
                "required": workflow_inputs.is_required(spec),
                "description": spec.get("description") if isinstance(spec.get("description"), str) else "",
            }
        )
    return found


def _rows(path: str, name: str, token: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for page in range(1, _MOST_PAGES + 1):
        answer = api.get(f"{path}?per_page={_PAGE}&page={page}", token)
        if answer.status_code != 200:
            raise api.NoToken(f"GitHub answered {answer.status_code}: the token lacks the right, or it is not there.")
        told = answer.json()
        listed = told.get(name) if isinstance(told, dict) else told
        new = [one for one in listed or [] if isinstance(one, dict)]
        rows += new
        if len(new) < _PAGE:
            break
    return rows
