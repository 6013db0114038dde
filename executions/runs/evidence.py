"""What is asked about a run that has ended: what failed, the end of the failed step's log, the test report, and whether
a newer run has displaced it. No transaction waits for GitHub.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from executions import budgets
from executions.models import Execution
from executions.runs import listing
from executions.runs.states import RunState
from executions.targets.github import failures, step_logs, test_reports
from executions.targets.github.api import LeftOut
from executions.targets.github.failures import FailedJob, NotNow
from executions.targets.github.limits import RateLimited
from executions.targets.github.test_reports import Tests

log = logging.getLogger("cronsched.following")
_AT_ONCE = 8
_ASKED_FOR = dt.timedelta(minutes=10)
# GitHub calls a run cancelled too if somebody stopped it after a job had failed.
_BAD = frozenset({*failures.FAILED, "cancelled"})
# A group's new run takes the place of a waiting one at once (GitHub: "Control the concurrency of workflows and jobs").
_DISPLACES_WITHIN = dt.timedelta(seconds=5)
_WITH_TESTS = frozenset({"success", *failures.FAILED})


class Repository(NamedTuple):
    """A repository and the token with which it is asked."""

    owner: str
    name: str
    token: str


class Evidence(NamedTuple):
    """What was found. `log`: the end of the log of the first failed job; '' if it was not asked for. `left_out`: why
    the log or the test report is not there.
    """

    failed: tuple[FailedJob, ...] = ()
    log: str = ""
    tests: Tests | None = None
    is_displaced: bool = False
    left_out: tuple[str, ...] = ()


Over = tuple[Execution, RunState]


class Gathered(NamedTuple):
    """What was found, by execution, and the runs to act on: not those that GitHub could not be asked about now."""

    found: dict[UUID, Evidence]
    ready: list[Over]


def gather(repository: Repository, over: Sequence[Over], runs: Mapping[int, RunState]) -> Gathered:
    """What is found about these runs; nothing is asked about plain successes. A rate limit stops the credential, and a
    run that cannot be asked about waits for another look, for ten minutes after its end.
    """
    asking = [one for one in over if _is_asked_about(*one)]
    if not asking:
        return Gathered({}, list(over))
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="evidence") as threads:
        answers = list(threads.map(lambda one: _safely(repository, one[0], one[1], runs), asking))
    found = {one.pk: answer for (one, _), answer in zip(asking, answers, strict=True) if isinstance(answer, Evidence)}
    put_off = {one.pk for one, state in asking if one.pk not in found and _may_wait(state)}
    pause = next((answer.pause for answer in answers if isinstance(answer, NotNow) and answer.pause), None)
    if pause:
        budgets.pause(budgets.budget_of(asking[0][0].job.github_credential_id), pause)
    return Gathered(found, [one for one in over if one[0].pk not in put_off])


def _may_wait(state: RunState) -> bool:
    return state.updated_at is not None and timezone.now() - state.updated_at < _ASKED_FOR


def _is_asked_about(execution: Execution, state: RunState) -> bool:
    return state.conclusion in _BAD or (bool(execution.job.test_report) and state.conclusion in _WITH_TESTS)


def _safely(
    repository: Repository, execution: Execution, state: RunState, runs: Mapping[int, RunState]
) -> Evidence | NotNow:
    """An end is told without what cannot be read about it."""
    try:
        return _gather(repository, execution, state, runs)
    except NotNow as exc:
        return exc
    except RateLimited as exc:
        # Without the log or the tests nothing is told yet: they come with the next look.
        return NotNow(exc.pause)
    except Exception:
        log.exception("what failed in a run could not be read", extra={"execution": str(execution.pk)})
        return Evidence()


def _gather(repository: Repository, execution: Execution, state: RunState, runs: Mapping[int, RunState]) -> Evidence:
    owner, name, token = repository
    run_id, job = execution.run_id or 0, execution.job
    if state.conclusion == "cancelled":
        has_newer = partial(_has_newer, repository, run_id, state, runs)
        if failures.is_displaced(owner, name, run_id, token, has_newer=has_newer):
            return Evidence(is_displaced=True)
    failed = tuple(failures.of_run(owner, name, run_id, token)) if state.conclusion in _BAD else ()
    log, tests, left_out = "", None, list[str]()
    if failed and failed[0].id and job.keep_step_log:
        try:
            log = step_logs.of_job(owner, name, failed[0].id, token)
        except LeftOut as exc:
            left_out.append(f"The log was left out: {exc}.")
    if job.test_report:
        try:
            tests = test_reports.of_run(owner, name, run_id, job.test_report, token)
        except LeftOut as exc:
            left_out.append(f"The test report was left out: {exc}.")
    return Evidence(failed, log, tests, left_out=tuple(left_out))


def _has_newer(repository: Repository, run_id: int, state: RunState, listed: Mapping[int, RunState]) -> bool:
    """Whether another run of the workflow was created while this one waited, or one of another workflow of the group at
    the moment of its end. What was listed are dispatched runs: GitHub is asked for those of a push or a pull request,
    of which only those of the same branch count, as groups mostly name it and others begin all the time.
    """
    if state.updated_at is None:
        return False
    if _is_among(run_id, state, state.updated_at, listed):
        return True
    owner, name, token = repository
    since = state.created_at or state.updated_at - _DISPLACES_WITHIN
    found = listing.created_between(owner, name, since, state.updated_at, token)
    others = {other: one for other, one in found.items() if one.branch == state.branch}
    return _is_among(run_id, state, state.updated_at, others)


def _is_among(run_id: int, state: RunState, ended: dt.datetime, runs: Mapping[int, RunState]) -> bool:
    """Ids grow; times are whole seconds."""
    soon = ended - _DISPLACES_WITHIN
    return any(
        other > run_id
        and one.created_at is not None
        and (one.path == state.path or one.created_at >= soon)
        and one.created_at <= ended
        for other, one in runs.items()
    )
