"""The schedules of the repositories that a GitHub credential reaches (GitHub REST: "Get repository content")."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import quote

import requests

from executions.targets.github import api, limits
from executions.targets.github.limits import RateLimited
from executions.targets.github.workflow_inputs import Unreadable
from moving import workflow_file
from moving.day_numbers import with_ranges
from moving.entries import Entry, zone_of
from settings_app.models import GitHubCredential

log = logging.getLogger("cronsched.moving")
_FOLDER = ".github/workflows"
_RAW = "application/vnd.github.raw+json"
_AT_ONCE = 8
_MOST_REPOSITORIES, _PAGE = 2_000, 100
_MOST_FILES = 100
Progress = Callable[[int, int], None]


class Found(NamedTuple):
    """The entry of a schedule, and the patch that removes the schedules of its file."""

    entry: Entry
    removal: str


class Walk(NamedTuple):
    """What a walk found. `unread`: repositories that could not be read, with the reason; `left`: how many were not
    reached in time.
    """

    found: list[Found]
    unread: list[tuple[str, str]]
    left: int = 0


def walk(
    credential: GitHubCredential | None,
    covers: Callable[[str], bool],
    *,
    seconds: float = 3600,
    progress: Progress | None = None,
) -> Walk:
    """The schedules of every repository that a credential, or GITHUB_TOKEN, reaches and `covers`, within `seconds`.
    Raises `NoToken`, and `requests.RequestException` if GitHub cannot be reached, or refuses for a rate limit.
    """
    with api.asking(credential.pk if credential else None) as token:
        if not token:
            raise api.NoToken("GITHUB_TOKEN is not set")
        return _walk(credential, token, covers, time.monotonic() + seconds, progress)


def _walk(
    credential: GitHubCredential | None,
    token: str,
    covers: Callable[[str], bool],
    ends: float,
    progress: Progress | None,
) -> Walk:
    reached = list(_repositories(token, is_app=bool(credential and credential.kind == GitHubCredential.Kind.APP)))
    names = [name for name in reached if covers(name)]
    found: list[Found] = []
    unread: list[tuple[str, str]] = []
    done = 0
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="moving") as threads:
        for start in range(0, len(names), _AT_ONCE):
            if time.monotonic() > ends:
                break
            batch = names[start : start + _AT_ONCE]
            try:
                read = list(threads.map(lambda name: _safely(name, token, credential), batch))
            except RateLimited as exc:
                if not done:
                    raise
                told = limits.note(credential.pk if credential else None, exc.pause) if exc.pause else exc
                unread.append((batch[0], str(told)))
                break
            for name, one in zip(batch, read, strict=True):
                found += one.found
                unread += [(name, reason) for reason in one.problems]
            done += len(batch)
            if progress:
                progress(done, len(names))
    return Walk(found, unread, len(names) - done)


def file_of(owner: str, repo: str, workflow: str, token: str) -> str | None:
    """The text of a workflow file on the default branch; None if it cannot be read. Raises
    `requests.RequestException`.
    """
    answer = api.get(f"/repos/{quote(owner)}/{quote(repo)}/contents/{_FOLDER}/{quote(workflow)}", token, accept=_RAW)
    return answer.text if answer.status_code == 200 else None


def name_of(owner: str, repo: str, number: str, token: str) -> str:
    """The name of the file of a workflow by its number; '' if it cannot be told. Raises as `file_of`."""
    answer = api.get(f"/repos/{quote(owner)}/{quote(repo)}/actions/workflows/{number}", token)
    try:
        path = str(answer.json()["path"]) if answer.status_code == 200 else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return path.removeprefix(f"{_FOLDER}/") if path.startswith(f"{_FOLDER}/") else ""


def _repositories(token: str, *, is_app: bool) -> Iterator[str]:
    path = "/installation/repositories" if is_app else "/user/repos"
    for page in range(1, _MOST_REPOSITORIES // _PAGE + 1):
        answer = api.get(f"{path}?per_page={_PAGE}&page={page}", token)
        if answer.status_code != 200:
            raise api.NoToken(f"GitHub answered {answer.status_code} to the list of repositories")
        told = answer.json()
        rows = told.get("repositories") if isinstance(told, dict) else told
        rows = [one for one in rows or [] if isinstance(one, dict)]
        alive = [one for one in rows if not one.get("archived")]
        yield from (str(one["full_name"]) for one in alive if "/" in str(one.get("full_name", "")))
        if len(rows) < _PAGE:
            return
    log.warning("more than %d repositories: the others were not read", _MOST_REPOSITORIES)


class _Read(NamedTuple):
    """What was found in a repository, and what could not be read."""

    found: list[Found]
    problems: list[str]


def _safely(name: str, token: str, credential: GitHubCredential | None) -> _Read:
    try:
        return _of_repository(name, token, credential)
    except RateLimited:
        # The other repositories would be refused too.
        raise
    except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as exc:
        log.warning("the workflows of %s could not be read: %s", name, type(exc).__name__)
        return _Read([], [f"it could not be read: {type(exc).__name__}"])


def _of_repository(name: str, token: str, credential: GitHubCredential | None) -> _Read:
    listed = api.get(f"/repos/{name}/contents/{_FOLDER}", token)
    if listed.status_code == 404:
        return _Read([], [])
    if listed.status_code != 200:
        return _Read([], [f"it could not be read: {listed.status_code}"])
    files = [str(one["name"]) for one in listed.json() if str(one.get("name", "")).endswith((".yml", ".yaml"))]
    owner, repo = name.split("/", 1)
    branch = ""
    read = _Read([], [] if len(files) <= _MOST_FILES else [f"only {_MOST_FILES} of its files were read"])
    for file in files[:_MOST_FILES]:
        text = file_of(owner, repo, file, token)
        if text is None:
            read.problems.append(f"its file {file} could not be read")
        elif "schedule" in text:
            branch = branch or str(api.get(f"/repos/{name}", token).json().get("default_branch") or "")
            read.found.extend(_of_file(name, file, text, branch, credential))
    return read


def _of_file(name: str, file: str, text: str, branch: str, credential: GitHubCredential | None) -> list[Found]:
    path = f"{_FOLDER}/{file}"
    source, (owner, repo) = f"{name}/{path}", name.split("/", 1)
    label = f"{repo} {file.rsplit('.', 1)[0]}"
    try:
        read = workflow_file.read(path, text)
    except Unreadable as exc:
        return [Found(Entry(source, label, "").with_problem(str(exc).rstrip(".")), "")]
    target: dict[str, Any] = {
        "github_owner": owner, "github_repo": repo, "github_workflow_name": file, "github_ref": branch,
        **({"github_credential": credential.name} if credential else {}),
    }  # fmt: skip
    found = []
    for number, one in enumerate(read.timed, 1):
        title = label if len(read.timed) == 1 else f"{label} ({number})"
        entry = Entry(source, title, one.cron, with_ranges(one.cron), zone_of(one.zone or "UTC"), target)
        found.append(Found(entry.with_change(*read.changes).with_problem(*read.problems), read.removal))
    return found
