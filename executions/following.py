"""Workflow runs followed to their end: the run's conclusion decides the execution's outcome.

What is followed is in the database (an open execution with a run), so that a restart or another leader goes on where this one was. GitHub is asked
once for all runs of a repository that share a token, conditionally (ETag), ever less often while nothing changes, and not before it wants to be
(`Retry-After`, `X-RateLimit-Reset`: GitHub, "Rate limits for the REST API").
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests
from django.utils import timezone

from executions import github_api
from executions.models import Execution, Status
from executions.recorder import Finished, store
from executions.retry import retry_after
from executions.services import target_of
from executions.targets.base import Outcome
from jobs.targets import GitHubTarget

log = logging.getLogger("cronsched.following")
SOONEST_SECONDS = 3.0
LATEST_SECONDS = 60.0
_PAGE = 50
_MOST = 2000
# How each conclusion is told; success, neutral and skipped are no failures (GitHub, "check runs").
WELL = {"success", "neutral", "skipped"}
WORDS = {
    "failure": "failed",
    "cancelled": "was cancelled",
    "timed_out": "ran out of GitHub's time limit",
    "action_required": "waits for an approval that is required",
    "startup_failure": "could not be started: look at the workflow file",
    "stale": "was given up by GitHub as stale",
}
Key = tuple[str, str, UUID | None]


@dataclass
class Watch:
    """How a repository is asked: when next, how long to wait after that, the ETag of the last answer and the runs that it listed."""

    wait: float
    next_at: float = 0.0
    etag: str = ""
    listed: frozenset[int | None] = frozenset()


class Follower:
    """Follows all open runs. One thread calls `look` every second or so; nothing here raises for what GitHub does."""

    def __init__(self) -> None:
        self._watches: dict[Key, Watch] = {}

    def look(self) -> int:
        """Ask for what is due, and end the executions whose run has ended; returns how many."""
        groups = self._groups()
        self._watches = {key: watch for key, watch in self._watches.items() if key in groups}
        ended = 0
        for key, executions in groups.items():
            watch = self._watches.setdefault(key, Watch(SOONEST_SECONDS))
            late, alive = _split(executions)
            if late:
                store([_given_up(execution) for execution in late])
                ended += len(late)
            if alive and time.monotonic() >= watch.next_at:
                ended += self._ask(key, alive, watch)
        return ended

    def _groups(self) -> dict[Key, list[Execution]]:
        followed = Execution.objects.filter(status=Status.RUNNING, run_id__isnull=False).select_related("job")
        groups: defaultdict[Key, list[Execution]] = defaultdict(list)
        for execution in followed.order_by("started_at")[:_MOST]:
            target = target_of(execution)
            if isinstance(target, GitHubTarget):
                groups[target.owner, target.repo, execution.job.github_credential_id].append(execution)
        return groups

    def _ask(self, key: Key, executions: list[Execution], watch: Watch) -> int:
        owner, repo, credential_id = key
        try:
            token = github_api.token_of(credential_id)
            runs, answer = _runs(owner, repo, token, executions, watch)
        except (github_api.NoToken, requests.RequestException, ValueError) as exc:
            log.warning("the runs of %s/%s could not be asked for: %s", owner, repo, type(exc).__name__)
            _later(watch)
            return 0
        if answer.status_code == 401:
            return _refused(executions, credential_id)
        if answer.status_code not in {200, 304}:
            log.warning("GitHub answered %d about the runs of %s/%s", answer.status_code, owner, repo)
            _later(watch, _asked_to_wait(answer))
            return 0
        if credential_id:
            github_api.note_success(credential_id, answer)
        done = [
            _finished(execution, runs[execution.run_id])
            for execution in executions
            if _is_over(runs.get(execution.run_id))
        ]
        store(done)
        if done:
            watch.wait = SOONEST_SECONDS
        _later(watch, _asked_to_wait(answer), slower=not done and answer.status_code == 304)
        return len(done)


def _split(executions: list[Execution]) -> tuple[list[Execution], list[Execution]]:
    """Those that took longer than their job allows, and the others."""
    now = timezone.now()
    late = [one for one in executions if now - one.started_at > dt.timedelta(minutes=one.job.run_limit_minutes)]
    return late, [one for one in executions if one not in late]


def _runs(
    owner: str, repo: str, token: str, executions: list[Execution], watch: Watch
) -> tuple[dict[int | None, dict[str, Any]], requests.Response]:
    """The state of runs by id: the newest of the repository in one request, each older one in its own."""
    listing = f"/repos/{owner}/{repo}/actions/runs"
    answer = github_api.get(f"{listing}?event=workflow_dispatch&per_page={_PAGE}", token, etag=watch.etag)
    found: dict[int | None, dict[str, Any]] = {}
    if answer.status_code == 200:
        watch.etag = answer.headers.get("ETag", "")
        found = {int(run["id"]): run for run in answer.json().get("workflow_runs", [])}
        watch.listed = frozenset(found)
    elif answer.status_code != 304:
        return found, answer
    for execution in executions:
        if execution.run_id not in watch.listed:
            single = github_api.get(f"{listing}/{execution.run_id}", token)
            if single.status_code == 200:
                found[execution.run_id] = single.json()
            elif single.status_code == 404:
                found[execution.run_id] = {"status": "completed", "conclusion": "gone"}
            else:
                return found, single
    return found, answer


def _later(watch: Watch, asked: float = 0.0, *, slower: bool = True) -> None:
    watch.next_at = time.monotonic() + max(watch.wait, asked)
    if slower:
        watch.wait = min(watch.wait * 1.5, LATEST_SECONDS)


def _asked_to_wait(answer: requests.Response) -> float:
    """Seconds that GitHub wants to be left alone."""
    if answer.headers.get("Retry-After"):
        return retry_after(answer.headers["Retry-After"])
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        reset = answer.headers.get("X-RateLimit-Reset", "")
        return max(0.0, float(reset) - time.time()) if reset.isdigit() else LATEST_SECONDS
    return 0.0


def _is_over(run: dict[str, Any] | None) -> bool:
    return run is not None and run.get("status") == "completed"


def _finished(execution: Execution, run: dict[str, Any]) -> Finished:
    conclusion = str(run.get("conclusion") or "")[:40]
    url = str(run.get("html_url") or execution.run_url)[:500]
    seconds = _seconds(run)
    Execution.objects.filter(pk=execution.pk).update(
        run_conclusion=conclusion, run_url=url, run_attempt=run.get("run_attempt"), run_seconds=seconds
    )
    if conclusion in WELL:
        return _ended(
            execution, Outcome(True, execution.response_status, f"The workflow run ended: {conclusion}. {url}")
        )
    words = (
        "is gone from GitHub" if conclusion == "gone" else WORDS.get(conclusion, f"ended as {conclusion or 'unknown'}")
    )
    error = f"The workflow run {words}. {url}"
    return _ended(execution, Outcome(False, execution.response_status, execution.output, error))


def _seconds(run: dict[str, Any]) -> float | None:
    try:
        begin, end = (dt.datetime.fromisoformat(str(run[name])) for name in ("run_started_at", "updated_at"))
    except (KeyError, ValueError):
        return None
    return max(0.0, (end - begin).total_seconds())


def _given_up(execution: Execution) -> Finished:
    limit = execution.job.run_limit_minutes
    error = f"The workflow run was not over after {limit} minutes; it is no longer waited for. {execution.run_url}"
    return _ended(execution, Outcome(False, execution.response_status, execution.output, error))


def _refused(executions: list[Execution], credential_id: UUID | None) -> int:
    """The token was revoked half-way: what became of the runs cannot be known."""
    if credential_id:
        github_api.note_refusal(credential_id)
    error = "GitHub refuses the token with which the run was followed (401); what became of the run is on its page. {}"
    store(
        [_ended(one, Outcome(False, one.response_status, one.output, error.format(one.run_url))) for one in executions]
    )
    return len(executions)


def _ended(execution: Execution, outcome: Outcome) -> Finished:
    return Finished(
        execution_id=execution.pk,
        worker_id=None,
        job_id=execution.job_id,
        job_name=execution.job.name,
        manual=execution.scheduled_for is None,
        started_at=execution.started_at,
        completed_at=timezone.now(),
        target=execution.target,
        outcome=outcome,
        attempts=execution.attempts,
    )
