"""Proposes jobs for the schedules of other schedulers, and creates those that were chosen. Each verb is one transaction
and raises `DomainError`s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import requests
from django.conf import settings
from django.db import transaction

from accounts.models import User
from core.api import payload
from core.api.errors import Conflict, DomainError, Invalid, invalid_field
from executions.targets.github import api as github_api
from jobs import validation
from jobs.input import clean_new
from jobs.models import Job
from jobs.services import add_jobs
from moving import celery_beat, cloud_scheduler, crontab_file, eventbridge, github, kubernetes, quartz
from moving.entries import LARGEST, MOST, Entry, Proposal, Unreadable, Verdict
from settings_app.credential_rights import check_role
from settings_app.models import GitHubCredential

READERS: dict[str, Callable[[str], Iterable[Entry]]] = {
    "crontab": crontab_file.read,
    "crontab-system": lambda text: crontab_file.read(text, has_users=True),
    "kubernetes": kubernetes.read,
    "eventbridge": eventbridge.read,
    "cloud-scheduler": cloud_scheduler.read,
    "celery-beat": celery_beat.read,
    "quartz": quartz.read,
}
GITHUB = "github"
_IDENTITY = ("target_url", "method", "github_owner", "github_repo", "github_workflow_name")
# What an odd answer of GitHub raises.
_ODD = (UnicodeError, ValueError, TypeError, KeyError, AttributeError)
_COMMON = ("pic_team", "category", "end_date")


class Proposals(NamedTuple):
    """What is proposed, and of a walk through GitHub the repositories that could not be read."""

    proposals: list[Proposal]
    unread: list[tuple[str, str]] = []
    left: int = 0


def propose_file(source: str, text: str, given: Mapping[str, Any], *, by: User | None) -> Proposals:
    """Propose jobs for the schedules of a file. `given`: `pic_team`, `category` and `end_date` of the jobs, a
    `target_url` for schedules that call no webhook, and a `time_zone` for those that name none. Raises `Nothing to
    import` and `Invalid payload`.
    """
    if source not in READERS:
        raise invalid_field("source", f"'source' must be one of {', '.join([GITHUB, *READERS])}.")
    if len(text) > LARGEST:
        raise Unreadable(f"The file is larger than {LARGEST // 1024 // 1024} MiB: split it.")
    entries = list(READERS[source](text))
    if not entries:
        raise Unreadable("The file holds no schedule of this kind.")
    if len(entries) > MOST:
        raise Unreadable(f"The file holds more than {MOST} schedules: split it.")
    return Proposals(_proposals([(entry, "") for entry in entries], given, by=by))


def propose_github(
    credential: str, given: Mapping[str, Any], *, by: User | None, seconds: float = 3600,
    progress: github.Progress | None = None,
) -> Proposals:  # fmt: skip
    """Propose jobs for the schedules of the repositories that a credential reaches; '' is GITHUB_TOKEN. Raises
    `Invalid payload` and `GitHub not readable`.
    """
    found = GitHubCredential.objects.filter(name=credential).first() if credential else None
    if credential and found is None:
        raise invalid_field("github_credential", f"There is no GitHub credential '{credential}'.")
    rights = check_role(found.pk if found else None, by)
    if reason := rights.team_refusal(validation.pic_team(given.get("pic_team")).pk):
        raise invalid_field("github_credential", f"{reason}.")
    try:
        walked = github.walk(found, rights.covers, seconds=seconds, progress=progress)
    except (github_api.NoToken, DomainError, requests.RequestException, *_ODD) as exc:
        why = github_api.reason(exc)
        raise Conflict("GitHub not readable", f"The repositories could not be read: {why}.") from exc
    return Proposals(_proposals(walked.found, given, by=by), walked.unread, walked.left)


@transaction.atomic
def create(bodies: Any, *, by: User | None) -> list[Job]:
    """Create proposed jobs, all or none of them, disabled. Raises the error of the first that is invalid, with its
    name.
    """
    jobs = []
    if not isinstance(bodies, list) or not 0 < len(bodies) <= MOST:
        raise invalid_field("jobs", f"Choose 1 to {MOST} jobs.")
    for body in bodies:
        data = payload.mapping(body, "jobs")
        try:
            jobs.append(Job(**clean_new({**data, "is_active": False}, by=by), created_by=by))
        except DomainError as exc:
            name = str(data.get("name", ""))[:80]
            raise Invalid(exc.error, f"{name}: {exc.message}", fields=getattr(exc, "fields", None)) from exc
    add_jobs(jobs, by=by)
    return jobs


def _proposals(found: Iterable[tuple[Entry, str]], given: Mapping[str, Any], *, by: User | None) -> list[Proposal]:
    taken = {name.lower() for name in Job.objects.values_list("name", flat=True)}
    known = {
        _identity(row): row["name"] for row in Job.objects.values(*_IDENTITY, "cron_expression", "time_zone", "name")
    }
    made = []
    numbers: Counter[str] = Counter()
    for entry, removal in found:
        name = entry.name[:240].strip() or entry.source[:240]
        title = name
        while title.lower() in taken:
            numbers[name.lower()] += 1
            title = f"{name} ({numbers[name.lower()] + 1})"
        proposal = _proposal(entry, removal, title, given, known, by=by)
        if proposal.job:
            taken.add(title.lower())
        made.append(proposal)
    return made


def _proposal(
    entry: Entry, removal: str, title: str, given: Mapping[str, Any], known: Mapping[Any, str], *, by: User | None
) -> Proposal:
    problems, changes = list(entry.problems), list(entry.changes)
    target = dict(entry.target)
    if not target and given.get("target_url"):
        target = {"target_url": given["target_url"]}
    elif not target:
        problems.append("it calls no webhook: give the target URL that starts it")
    zone = entry.zone or str(given.get("time_zone") or "")
    if not zone:
        changes.append(f"it names no time zone: it is read in {settings.SCHEDULER_ZONE}")
    common = {name: given[name] for name in _COMMON if given.get(name)}
    body = {
        "name": title, "cron_expression": entry.cron, "time_zone": zone, "is_active": False, **common,
        **target, **entry.fields,
    }  # fmt: skip
    if not problems:
        try:
            columns = clean_new(body, by=by)
            # With a common target URL the same call stands for different commands.
            same = known.get(_identity(columns)) if entry.target else None
            if same:
                problems.append(f"the job '{same}' does it already")
        except DomainError as exc:
            problems.append(exc.message.rstrip("."))
    if problems:
        return Proposal(entry, Verdict.CANNOT, tuple(problems), {}, removal)
    return Proposal(entry, Verdict.CHANGED if changes else Verdict.EXACT, tuple(changes), body, removal)


def _identity(columns: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a job calls, and when; an empty zone is the scheduler's."""
    zone = columns.get("time_zone") or str(settings.SCHEDULER_ZONE)
    parts = (columns.get(name) for name in _IDENTITY)
    return (columns["cron_expression"], zone, *(str(part or "").lower() for part in parts))


def removals(rows: Iterable[tuple[str, str, bool]]) -> dict[str, str]:
    """The patches by repository for the files all of whose schedules became jobs. `rows`: of each schedule its source,
    the patch of its file, and whether it became a job.
    """
    whole: dict[str, bool] = {}
    patches: dict[str, str] = {}
    for source, patch, is_taken in rows:
        whole[source] = whole.get(source, True) and is_taken
        patches[source] = patch
    found: dict[str, str] = {}
    for source, patch in patches.items():
        if whole[source] and patch:
            repository = "/".join(source.split("/")[:2])
            found[repository] = found.get(repository, "") + patch
    return found
