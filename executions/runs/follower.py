"""The run follower: polls workflow runs until they end, and for a day after a bad end, because people run them again.

The state is in the database (an open execution with a run), so after a restart or a change of leader polling
continues. One conditional request (ETag) covers up to 100 runs of a repository that share a token. The interval grows
while nothing changes and with the number of repositories, so that a token is used less than 60 times a minute, and a
rate limit stops all that use the token (GitHub, "Rate limits for the REST API"). Where GitHub's webhook tells that a
run has changed, that run is asked for at once (`executions.runs.hooks`).
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple
from uuid import UUID

import requests
from django.db import connection
from django.utils import timezone

from executions import budgets
from executions.models import OPEN, Execution, Status, WorkflowRun
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.runs import attempts, ends, listing, reruns
from executions.runs.evidence import Repository
from executions.runs.listing import RepositoryPoll
from executions.runs.states import RunState
from executions.targets.base import Outcome
from executions.targets.github import api as github_api
from executions.targets.github import limits
from executions.targets.github.target import GitHubTarget

log = logging.getLogger("cronsched.following")
SOONEST_SECONDS = 3.0
# With the second between two polls, an end is known within a minute.
LATEST_SECONDS = 55.0
# Runs that ended badly are looked at less often.
_WATCH_SOONEST_SECONDS, _WATCH_LATEST_SECONDS, _UNDER_WAY_SECONDS = 120.0, 600.0, 15.0
# What a credential may ask in a minute, and how much of it for watched runs while others are open.
_REQUESTS_A_MINUTE, _WATCHED_A_MINUTE = 57, 5
# A single refusal may concern a token that was just renewed.
REFUSALS = 3
# The runs of a repository whose end is stored in one look; the others wait for the next.
_MOST_ENDS = 40
_AT_ONCE = 8
# How long a look waits for repositories that do not answer; they are not asked again before they have.
_PATIENCE_SECONDS = 5.0
_MOST = 20_000


class Key(NamedTuple):
    """A group of runs that are asked for together. `is_watched`: those whose execution has ended badly."""

    owner: str
    repo: str
    credential_id: UUID | None
    is_watched: bool = False


class RunFollower:
    """Follows all open runs. One thread calls `poll` about once a second; errors of GitHub do not raise."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._polls: dict[Key, RepositoryPoll] = {}
        self._soonest: dict[tuple[UUID | None, bool], float] = {}
        self._under_way: dict[Future[int], Key] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="follower")
        # For repositories that did not answer the last time: they take no thread from those that do.
        self._slow_threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="follower-slow")

    def poll(self) -> int:
        """Look at every repository that is due, and end the executions whose run has ended; returns how many."""
        groups = _groups()
        self._polls = {key: self._polls.get(key) or RepositoryPoll(_first_wait(key)) for key in groups}
        self._share_requests()
        blocked = budgets.blocked_until([key.credential_id for key in groups])
        ended = self._ended_looks()
        busy = set(self._under_way.values())
        due = {
            key: [row.pk for row in rows]
            for key, rows in groups.items()
            if key not in busy and self._is_due(key, rows, key.credential_id in blocked)
        }
        if len(groups) == 1:
            return ended + sum(self._look_safely(key, ids, self._polls[key]) for key, ids in due.items())
        # In parallel, so that a repository whose server hangs delays no other.
        expected = []
        for key, ids in due.items():
            polled = self._polls[key]
            threads = self._slow_threads if polled.has_failed else self._threads
            future = threads.submit(self._look_in_thread, key, ids, polled)
            self._under_way[future] = key
            if not polled.has_failed:
                expected.append(future)
        futures.wait(expected, _PATIENCE_SECONDS)
        return ended + self._ended_looks()

    def close(self, *, wait: bool = False) -> None:
        """Begin no more looks, and be polled no more. `wait`: until those under way are over."""
        both = self._threads, self._slow_threads
        for threads in both:
            threads.shutdown(wait=False, cancel_futures=True)
        for threads in both if wait else ():
            threads.shutdown()

    def _ended_looks(self) -> int:
        """Forget the looks that are over, so that their repositories are due again; returns what they ended."""
        done = [one for one in self._under_way if one.done()]
        for one in done:
            del self._under_way[one]
        return sum(one.result() for one in done)

    def _share_requests(self) -> None:
        """The shortest interval for each credential, of open and of watched runs: its repositories share the requests
        of a minute.
        """
        pages: Counter[tuple[UUID | None, bool]] = Counter()
        for key, polled in self._polls.items():
            pages[key.credential_id, key.is_watched] += max(1, len(polled.pages))
        self._soonest = {}
        for (credential_id, is_watched), count in pages.items():
            share = _REQUESTS_A_MINUTE
            if (credential_id, not is_watched) in pages:
                share = _WATCHED_A_MINUTE if is_watched else _REQUESTS_A_MINUTE - _WATCHED_A_MINUTE
            self._soonest[credential_id, is_watched] = max(SOONEST_SECONDS, 60 * count / share)

    def _is_due(self, key: Key, rows: Sequence[_Row], is_blocked: bool) -> bool:
        if any(row.is_late for row in rows):
            return True
        if is_blocked or self._monotonic() < self._polls[key].not_before:
            return False
        return self._monotonic() >= self._polls[key].next_at or any(row.wants_a_look for row in rows)

    def _look_in_thread(self, key: Key, ids: Sequence[UUID], polled: RepositoryPoll) -> int:
        try:
            return self._look_safely(key, ids, polled)
        finally:
            connection.close()

    def _look_safely(self, key: Key, ids: Sequence[UUID], polled: RepositoryPoll) -> int:
        try:
            # What has changed since belongs to no look, or to that of another group.
            rows = Execution.objects.filter(pk__in=ids).select_related("job", "workflow_run").order_by("started_at")
            executions = [one for one in rows if (one.status in OPEN) is not key.is_watched]
            return self._look(key, executions, polled) if executions else 0
        except Exception:
            log.exception("the runs of %s/%s could not be read, trying again", key.owner, key.repo)
            self._later(key, polled, failed=True)
            return 0

    def _look(self, key: Key, executions: Sequence[Execution], polled: RepositoryPoll) -> int:
        late = [] if key.is_watched else [one for one in executions if _is_late(one)]
        store([_given_up(execution) for execution in late])
        ends.watch(late)
        alive = [one for one in executions if one not in late]
        told = [one for one in alive if _was_told_of(one)]
        is_due = self._monotonic() >= polled.next_at or any(reruns.is_due(one) for one in alive)
        if not is_due and len(told) > listing.MOST_SINGLE:
            is_due = True
        if is_due and alive:
            return len(late) + self._ask(key, alive, polled)
        return len(late) + (self._ask_for(key, told, polled) if told else 0)

    def _ask(self, key: Key, executions: Sequence[Execution], polled: RepositoryPoll) -> int:
        try:
            token = github_api.token_of(key.credential_id)
            runs, answer = listing.ask(key.owner, key.repo, token, executions, polled)
        except github_api.NoToken as exc:
            log.warning("the runs of %s/%s could not be requested: %s", key.owner, key.repo, exc)
            self._later(key, polled, failed=True)
            return _without_token(executions, str(exc), polled) if exc.is_final and not key.is_watched else 0
        except (requests.RequestException, ValueError) as exc:
            log.warning("the runs of %s/%s could not be requested: %s", key.owner, key.repo, type(exc).__name__)
            self._later(key, polled, failed=True)
            return 0
        over = self._heed(key, executions, polled, runs, answer, token)
        self._later(key, polled, slower=not over, failed=answer.status_code not in {200, 304})
        return over

    def _ask_for(self, key: Key, executions: Sequence[Execution], polled: RepositoryPoll) -> int:
        """Ask for the runs of which GitHub's webhook told something."""
        over = 0
        for execution in executions:
            try:
                token = github_api.token_of(key.credential_id)
                state, answer = listing.ask_single(key.owner, key.repo, execution.run_id or 0, token)
            except (github_api.NoToken, requests.RequestException, ValueError) as exc:
                log.warning("a run of %s/%s could not be requested: %s", key.owner, key.repo, type(exc).__name__)
                WorkflowRun.objects.filter(pk=execution.pk).update(look_at=None)
                self._later(key, polled, failed=True)
                break
            if state and state.is_over and state.conclusion == "cancelled":
                # Whether a newer run has displaced it is seen in the listing.
                polled.next_at = 0.0
                continue
            if answer.status_code != 200:
                self._later(key, polled, failed=True)
            runs = {execution.run_id or 0: state} if state else {}
            over += self._heed(key, [execution], polled, runs, answer, token)
        return over

    def _heed(
        self,
        key: Key,
        executions: Sequence[Execution],
        polled: RepositoryPoll,
        runs: dict[int, RunState],
        answer: requests.Response,
        token: str,
    ) -> int:
        """Act on what GitHub answered; returns how many runs are over."""
        WorkflowRun.objects.filter(pk__in=[one.pk for one in executions if _was_told_of(one)]).update(look_at=None)
        if answer.status_code == 401:
            return 0 if key.is_watched else _refused(executions, key.credential_id, polled)
        polled.refusals = 0
        if pause := limits.pause_of_answer(answer):
            # A rate limit applies to the token, so it stops everything that uses the token.
            budgets.pause(budgets.budget_of(key.credential_id), pause)
        elif answer.status_code not in {200, 304}:
            log.warning("GitHub answered %d about the runs of %s/%s", answer.status_code, key.owner, key.repo)
        elif key.credential_id:
            github_api.note_success(key.credential_id, answer)
        told = [(one, runs[one.run_id]) for one in executions if one.run_id in runs]
        repository = Repository(key.owner, key.repo, token)
        if key.is_watched:
            if any(not state.is_over for _, state in told):
                # Somebody runs it again.
                polled.wait = _UNDER_WAY_SECONDS
                polled.next_at = min(polled.next_at, self._monotonic() + polled.wait)
            return ends.correct(repository, told, most=_MOST_ENDS)
        reruns.note_waiting(told)
        if reruns.ask_for_due(repository, told):
            polled.wait = SOONEST_SECONDS
        over = [(one, state) for one, state in told if reruns.is_end(one, state)][:_MOST_ENDS]
        if over:
            ends.settle(repository, over, runs)
            polled.wait = SOONEST_SECONDS
        return len(over)

    def _later(self, key: Key, polled: RepositoryPoll, *, slower: bool = True, failed: bool = False) -> None:
        soonest = self._soonest.get((key.credential_id, key.is_watched), SOONEST_SECONDS)
        if key.is_watched and polled.wait <= _UNDER_WAY_SECONDS:
            soonest = SOONEST_SECONDS
        latest = _WATCH_LATEST_SECONDS if key.is_watched else LATEST_SECONDS
        polled.next_at = self._monotonic() + max(polled.wait, soonest)
        polled.has_failed = failed
        if failed:
            # Neither GitHub's webhook nor a re-run that is due asks sooner.
            polled.not_before = polled.next_at
        if slower:
            polled.wait = min(polled.wait * 1.5, latest)


class _Row(NamedTuple):
    """The columns of an execution from which it is decided whether its repository is looked at."""

    pk: UUID
    target: str
    credential_id: UUID | None
    started_at: dt.datetime
    limit_minutes: int
    attempts: list[dict[str, Any]] | None
    look_at: dt.datetime | None
    rerun_at: dt.datetime | None
    is_open: bool

    @property
    def is_late(self) -> bool:
        return self.is_open and _is_over_limit(self.started_at, self.attempts or [], self.rerun_at, self.limit_minutes)

    @property
    def wants_a_look(self) -> bool:
        is_due = self.is_open and self.rerun_at is not None and self.rerun_at <= timezone.now()
        return self.look_at is not None or is_due


_COLUMNS = (
    "pk",
    "target",
    "job__github_credential_id",
    "started_at",
    "job__run_limit_minutes",
    "workflow_run__attempts",
    "workflow_run__look_at",
    "workflow_run__rerun_at",
)


def _groups() -> dict[Key, list[_Row]]:
    """What is followed, by repository and credential. Plain columns, because thousands are read every second."""
    followed = Execution.objects.filter(
        status=Status.RUNNING, run_id__isnull=False, execution_type=GitHubTarget.kind
    ).order_by("started_at")
    watched = Execution.objects.filter(workflow_run__watched_until__gt=timezone.now()).exclude(status__in=OPEN)
    groups: defaultdict[Key, list[_Row]] = defaultdict(list)
    for executions, is_open in ((followed, True), (watched, False)):
        for values in executions.values_list(*_COLUMNS)[:_MOST]:
            row = _Row._make((*values, is_open))
            try:
                target = GitHubTarget.parse(row.target)
            except ValueError:
                _end_unreadable(row.pk)
                continue
            groups[Key(target.github_owner, target.github_repo, row.credential_id, not is_open)].append(row)
    return groups


def _end_unreadable(pk: UUID) -> None:
    """One row that cannot be read stops no other."""
    execution = Execution.objects.select_related("job").get(pk=pk)
    store([_ended(execution, "what is stored of the run's target cannot be read")])


def _first_wait(key: Key) -> float:
    return _WATCH_SOONEST_SECONDS if key.is_watched else SOONEST_SECONDS


def _is_late(execution: Execution) -> bool:
    """Whether the run of an open execution took longer than its job allows."""
    run = attempts.run_of(execution)
    return execution.status in OPEN and _is_over_limit(
        execution.started_at,
        run.attempts if run else [],
        run.rerun_at if run else None,
        execution.job.run_limit_minutes,
    )


def _is_over_limit(started_at: dt.datetime, ended: Sequence[Any], rerun_at: dt.datetime | None, minutes: int) -> bool:
    """Each attempt of a run has the whole limit; the wait for a re-run does not count."""
    if rerun_at is not None:
        return False
    last = ended[-1] if ended else {}
    begin = attempts.moment(last.get("run_again_at")) or attempts.moment(last.get("ended_at")) or started_at
    return timezone.now() - begin > dt.timedelta(minutes=minutes)


def _was_told_of(execution: Execution) -> bool:
    run = attempts.run_of(execution)
    return run is not None and run.look_at is not None


def _given_up(execution: Execution) -> Finished:
    limit = execution.job.run_limit_minutes
    error = f"The workflow run was not over after {limit} minutes; it is no longer waited for. {execution.run_url}"
    return _ended(execution, error)


def _refused(executions: Sequence[Execution], credential_id: UUID | None, polled: RepositoryPoll) -> int:
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
    return _end_all(
        executions,
        "GitHub refuses the token with which the run was followed (401); what became of the run is on its page.",
    )


def _without_token(executions: Sequence[Execution], reason: str, polled: RepositoryPoll) -> int:
    """There is no token to ask with, and there will be none: the credential is gone, or its App is suspended or no
    longer installed. After repeated looks the executions end, as after refusals.
    """
    polled.refusals += 1
    if polled.refusals < REFUSALS:
        return 0
    return _end_all(
        executions, f"The outcome of the workflow run cannot be asked: {reason}. What became of it is on its page."
    )


def _end_all(executions: Sequence[Execution], error: str) -> int:
    store([_ended(one, f"{error} {one.run_url}") for one in executions])
    return len(executions)


def _ended(execution: Execution, error: str) -> Finished:
    """A followed execution that fails; it belongs to no worker."""
    return Finished.of(execution, Outcome(False, execution.response_status, execution.output, error), None)
