"""The run follower: polls workflow runs until they end. The run's conclusion decides the execution's outcome.

The state is in the database (an open execution with a run), so after a restart or a change of leader polling
continues. One conditional request (ETag) covers all runs of a repository that share a token. The interval grows while
nothing changes, and respects `Retry-After` and `X-RateLimit-Reset` (GitHub, "Rate limits for the REST API").
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import requests
from django.db import connection, transaction
from django.utils import timezone

from executions.http.retry_after import retry_after
from executions.models import Execution, Report, Status
from executions.recording import Finished, store
from executions.targets.base import Outcome
from executions.targets.github import api as github_api
from executions.targets.github import failures
from executions.targets.github.failures import FailedJob
from executions.targets.github.target import GitHubTarget

log = logging.getLogger("cronsched.following")
SOONEST_SECONDS = 3.0
LATEST_SECONDS = 60.0
# A single refusal may concern a token that was just renewed; a single 404 may be a read that lags behind the write.
REFUSALS = 3
MISSING = 3
MISSING_AFTER = dt.timedelta(minutes=2)
_KEPT = ("id", "status", "conclusion", "html_url", "run_attempt", "run_started_at", "updated_at")
# GitHub's largest page.
_PAGE = 100
_AT_ONCE, _MOST_AT_ONCE = 8, 40
# Our own conclusion of a run that GitHub no longer knows.
_GONE = "gone"
_MOST = 20_000
# The description of each conclusion that is a failure; success, neutral and skipped are none (GitHub, "check runs").
SUCCESSFUL = {"success", "neutral", "skipped"}
FAILURES = {
    "failure": "failed",
    "cancelled": "was cancelled",
    "timed_out": "ran out of GitHub's time limit",
    "action_required": "waits for an approval that is required",
    "startup_failure": "could not be started: look at the workflow file",
    "stale": "was given up by GitHub as stale",
    _GONE: "is gone from GitHub",
}
Key = tuple[str, str, UUID | None]


@dataclass
class RepositoryPoll:
    """The polling state of a repository: the next poll, the interval, the ETag and the runs of the last listing, and
    the number of consecutive errors.
    """

    wait: float
    next_at: float = 0.0
    etag: str = ""
    listed: dict[int | None, dict[str, Any]] = field(default_factory=dict)
    refusals: int = 0
    missing: Counter[int | None] = field(default_factory=Counter)


class RunFollower:
    """Follows all open runs. One thread calls `poll` about once a second; errors of GitHub do not raise."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._polls: dict[Key, RepositoryPoll] = {}
        self._left_alone_until: dict[UUID | None, float] = {}

    def poll(self) -> int:
        """Poll every repository that is due, and end the executions whose run has ended; returns how many."""
        groups = self._groups()
        self._polls = {key: self._polls.get(key) or RepositoryPoll(SOONEST_SECONDS) for key in groups}
        if len(groups) < 2:
            return sum(self._poll_safely(key, executions) for key, executions in groups.items())
        # In parallel, so that a repository whose server hangs delays no other.
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="follower") as threads:
            return sum(threads.map(self._poll_in_thread, groups.items()))

    def _poll_in_thread(self, group: tuple[Key, list[Execution]]) -> int:
        try:
            return self._poll_safely(*group)
        finally:
            connection.close()

    def _poll_safely(self, key: Key, executions: list[Execution]) -> int:
        try:
            return self._poll_repository(key, executions, self._polls[key])
        except Exception:
            log.exception("the runs of %s/%s could not be read, trying again", *key[:2])
            self._later(self._polls[key])
            return 0

    def _poll_repository(self, key: Key, executions: list[Execution], polled: RepositoryPoll) -> int:
        late, alive = _split(executions)
        if late:
            store([_given_up(execution) for execution in late])
        if alive and self._monotonic() >= max(polled.next_at, self._left_alone_until.get(key[2], 0.0)):
            return len(late) + self._ask(key, alive, polled)
        return len(late)

    def _groups(self) -> dict[Key, list[Execution]]:
        followed = Execution.objects.filter(
            status=Status.RUNNING, run_id__isnull=False, execution_type=GitHubTarget.kind
        ).select_related("job")
        groups: defaultdict[Key, list[Execution]] = defaultdict(list)
        for execution in followed.order_by("started_at")[:_MOST]:
            try:
                target = GitHubTarget.parse(execution.target)
            except ValueError:
                # One row that cannot be read stops no other.
                store([_ended(execution, Outcome(False, error="what is stored of the run's target cannot be read"))])
                continue
            groups[target.github_owner, target.github_repo, execution.job.github_credential_id].append(execution)
        return groups

    def _ask(self, key: Key, executions: list[Execution], polled: RepositoryPoll) -> int:
        owner, repo, credential_id = key
        try:
            token = github_api.token_of(credential_id)
            runs, answer = _runs(owner, repo, token, executions, polled)
        except (github_api.NoToken, requests.RequestException, ValueError) as exc:
            log.warning("the runs of %s/%s could not be requested: %s", owner, repo, type(exc).__name__)
            self._later(polled)
            return 0
        if answer.status_code == 401:
            self._later(polled)
            return _refused(executions, credential_id, polled)
        polled.refusals = 0
        if answer.status_code not in {200, 304}:
            log.warning("GitHub answered %d about the runs of %s/%s", answer.status_code, owner, repo)
        elif credential_id:
            github_api.note_success(credential_id, answer)
        # The others wait for the next look.
        over = [one for one in executions if _is_over(runs.get(one.run_id))][:_MOST_AT_ONCE]
        if over:
            failed = _failed_jobs(over, runs, key, token)
            with transaction.atomic():
                store([_finished(one, runs[one.run_id], failed.get(one.pk, [])) for one in over])
            polled.wait = SOONEST_SECONDS
        asked = _asked_to_wait(answer)
        if asked:
            # A rate limit applies to the token, so it delays every repository of that token.
            self._left_alone_until[credential_id] = self._monotonic() + asked
        self._later(polled, slower=not over)
        return len(over)

    def _later(self, polled: RepositoryPoll, *, slower: bool = True) -> None:
        polled.next_at = self._monotonic() + polled.wait
        if slower:
            polled.wait = min(polled.wait * 1.5, LATEST_SECONDS)


def _split(executions: list[Execution]) -> tuple[list[Execution], list[Execution]]:
    """The executions whose run took longer than their job allows, and the others."""
    now = timezone.now()
    late: list[Execution] = []
    alive: list[Execution] = []
    for one in executions:
        is_late = now - one.started_at > dt.timedelta(minutes=one.job.run_limit_minutes)
        (late if is_late else alive).append(one)
    return late, alive


def _runs(
    owner: str, repo: str, token: str, executions: list[Execution], polled: RepositoryPoll
) -> tuple[dict[int | None, dict[str, Any]], requests.Response]:
    """The state of runs by id: one request lists the newest runs of the repository, older runs take a request each.
    Also returns the worst reply.
    """
    listing = f"/repos/{owner}/{repo}/actions/runs"
    answer = github_api.get(f"{listing}?event=workflow_dispatch&per_page={_PAGE}", token, etag=polled.etag)
    if answer.status_code == 200:
        told = answer.json()["workflow_runs"]
        polled.listed = {int(run["id"]): {name: run.get(name) for name in _KEPT} for run in told}
        polled.etag = answer.headers.get("ETag", "")
    elif answer.status_code in {403, 404} and not _asked_to_wait(answer):
        # Deleted, or no longer readable with this token: as with a single run, that may be a read that lags behind.
        gone = {"status": "completed", "conclusion": _GONE}
        return {one.run_id: gone for one in executions if _is_gone(one, polled)}, answer
    elif answer.status_code != 304:
        return {}, answer
    found = dict(polled.listed)
    for execution in executions:
        if execution.run_id not in found:
            single = github_api.get(f"{listing}/{execution.run_id}", token)
            if single.status_code == 200:
                polled.missing.pop(execution.run_id, None)
                found[execution.run_id] = single.json()
            elif single.status_code == 404:
                if _is_gone(execution, polled):
                    found[execution.run_id] = {"status": "completed", "conclusion": _GONE}
            else:
                answer = single
                break
    return found, answer


def _is_gone(execution: Execution, polled: RepositoryPoll) -> bool:
    polled.missing[execution.run_id] += 1
    return polled.missing[execution.run_id] >= MISSING and timezone.now() - execution.started_at > MISSING_AFTER


def _asked_to_wait(answer: requests.Response) -> float:
    """Seconds for which GitHub asks clients to wait."""
    if answer.headers.get("Retry-After"):
        return retry_after(answer.headers["Retry-After"])
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        reset = answer.headers.get("X-RateLimit-Reset", "")
        return max(0.0, float(reset) - time.time()) if reset.isdigit() else LATEST_SECONDS
    return 0.0


def _is_over(run: dict[str, Any] | None) -> bool:
    return run is not None and run.get("status") == "completed"


def _failed_jobs(
    over: list[Execution], runs: dict[int | None, dict[str, Any]], key: Key, token: str
) -> dict[UUID, list[FailedJob]]:
    """What failed in the runs that ended badly. No transaction waits for GitHub."""
    bad = [one for one in over if one.run_id and runs[one.run_id].get("conclusion") in failures.FAILED]
    if not bad:
        return {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="failures") as threads:
        found = threads.map(lambda one: failures.of_run(key[0], key[1], one.run_id or 0, token), bad)
        return dict(zip([one.pk for one in bad], found, strict=True))


def _finished(execution: Execution, run: dict[str, Any], failed: list[FailedJob]) -> Finished:
    conclusion = str(run.get("conclusion") or "")[:40]
    url = github_api.page_of_run(run.get("html_url")) or execution.run_url
    seconds = _seconds(run)
    Execution.objects.filter(pk=execution.pk).update(
        run_conclusion=conclusion, run_url=url, run_attempt=run.get("run_attempt"), run_seconds=seconds
    )
    if conclusion in SUCCESSFUL:
        return _ended(
            execution, Outcome(True, execution.response_status, f"The workflow run ended: {conclusion}. {url}")
        )
    reason = FAILURES.get(conclusion, f"ended as {conclusion or 'unknown'}")
    what = failures.summary(failed)
    if failed:
        Report.objects.update_or_create(
            pk=execution.pk,
            defaults={
                "status": Report.State.FAILED,
                "told_at": timezone.now(),
                "failures": [one._asdict() for one in failed],
            },
        )
    error = f"The workflow run {reason}: {what}. {url}" if what else f"The workflow run {reason}. {url}"
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


def _refused(executions: list[Execution], credential_id: UUID | None, polled: RepositoryPoll) -> int:
    """The token was revoked. After repeated refusals the executions end, because the outcome of their runs cannot be
    known.
    """
    if credential_id:
        # A GitHub App can issue a new token.
        github_api.forget(credential_id)
    polled.refusals += 1
    if polled.refusals < REFUSALS:
        return 0
    if credential_id:
        github_api.note_refusal(credential_id)
    error = "GitHub refuses the token with which the run was followed (401); what became of the run is on its page. {}"
    store(
        [_ended(one, Outcome(False, one.response_status, one.output, error.format(one.run_url))) for one in executions]
    )
    return len(executions)


def _ended(execution: Execution, outcome: Outcome) -> Finished:
    """A followed execution belongs to no worker."""
    return Finished.of(execution, outcome, None)
