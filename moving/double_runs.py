"""Workflows that run twice: a job dispatches them, and their file still has a schedule of its own."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from uuid import UUID

import requests

from core.api.errors import DomainError
from executions.targets.github import api
from executions.targets.github.limits import RateLimited
from executions.targets.github.target import GitHubTarget
from executions.targets.github.workflow_inputs import Unreadable
from jobs.models import Job
from moving import github, workflow_file

log = logging.getLogger("cronsched.moving")
_AT_ONCE = 4


class DoubleRun(NamedTuple):
    """A job whose workflow has schedules of its own."""

    job: Job
    path: str
    schedules: tuple[str, ...]


class _File(NamedTuple):
    owner: str
    repo: str
    workflow: str
    credential_id: UUID | None


def find() -> list[DoubleRun]:
    """The active jobs whose workflow file, on its default branch, still has a schedule; files that cannot be read are
    left out.
    """
    jobs: defaultdict[_File, list[Job]] = defaultdict(list)
    for job in Job.objects.on_schedule().filter(target_kind=GitHubTarget.kind):
        name = job.github_workflow_name
        file = name if name.isdigit() or name.endswith((".yml", ".yaml")) else f"{name}.yml"
        jobs[_File(job.github_owner, job.github_repo, file, job.github_credential_id)].append(job)
    return [
        DoubleRun(job, f"{file.owner}/{file.repo}/.github/workflows/{name}", crons)
        for credential in {file.credential_id for file in jobs}
        for file, name, crons in _read([file for file in jobs if file.credential_id == credential], credential)
        if crons
        for job in jobs[file]
        # One that names the other extension runs another file.
        if name.startswith(job.github_workflow_name) or file.workflow.isdigit()
    ]


def _read(files: list[_File], credential: UUID | None) -> list[tuple[_File, str, tuple[str, ...]]]:
    """The files of a credential with the names under which they were found, and their schedules."""
    try:
        with api.asking(credential) as token, ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="moving") as threads:
            found = list(threads.map(lambda file: _schedules(file, token), files if token else []))
    except (api.NoToken, DomainError, RateLimited) as exc:
        log.warning("workflow files cannot be read with a GitHub credential: %s", exc)
        return []
    return [(file, name, crons) for file, (name, crons) in zip(files, found, strict=False)]


def _names(file: _File, token: str) -> Iterable[str]:
    """The possible names of the file: a job may name a workflow without its extension, or by its number (GitHub REST:
    "Get a workflow").
    """
    if not file.workflow.isdigit():
        return dict.fromkeys((file.workflow, f"{file.workflow.rpartition('.')[0]}.yaml"))
    name = github.name_of(file.owner, file.repo, file.workflow, token)
    return [name] if name else []


def _schedules(file: _File, token: str) -> tuple[str, tuple[str, ...]]:
    """The name of the file that was read, and its schedules."""
    try:
        for name in _names(file, token):
            text = github.file_of(file.owner, file.repo, name, token)
            if text is not None:
                return name, tuple(one.cron for one in workflow_file.schedules(text))
    except RateLimited:
        raise
    except (requests.RequestException, Unreadable, UnicodeError) as exc:
        log.warning("the workflow file of %s/%s could not be read: %s", file.owner, file.repo, type(exc).__name__)
    return file.workflow, ()
