"""Failed jobs of a run are run again: by the job's `rerun_failed_jobs`, or by a person (GitHub REST: "Re-run failed
jobs from a workflow run", "Re-run a workflow").
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

import requests
from django.db import transaction
from django.utils import timezone

from core.api.errors import Conflict, DomainError
from core.api.timestamps import utc_ms
from executions import budgets
from executions.models import OPEN, Execution, WorkflowRun
from executions.runs import attempts, listing
from executions.runs.ends import WATCHED
from executions.runs.evidence import Over, Repository
from executions.runs.states import GONE, RunState
from executions.signals import approval_awaited
from executions.targets.github import api as github_api
from executions.targets.github import limits
from executions.targets.github.target import GitHubTarget
from settings_app.credential_rights import rights_of

log = logging.getLogger("cronsched.following")
_RERUN = frozenset({"failure", "timed_out", "startup_failure"})
# How soon a re-run is asked for again that GitHub did not answer.
_AFTER_FAILURE = dt.timedelta(minutes=1)
_ALREADY_RUNNING = "already running"


def is_due(execution: Execution) -> bool:
    """Whether failed jobs of the execution's run are to be run again now."""
    run = attempts.run_of(execution)
    is_planned = run is not None and run.rerun_at is not None and run.rerun_at <= timezone.now()
    return is_planned and execution.status in OPEN


def is_end(execution: Execution, state: RunState) -> bool:
    """Whether the run has ended and is not run again for the job. A re-run is planned, or awaited, otherwise."""
    if not state.is_over:
        return False
    run = attempts.run_of(execution)
    if attempts.is_new(execution, state):
        if state.conclusion in _RERUN and (run.reruns if run else 0) < execution.job.rerun_failed_jobs:
            _plan(execution, state)
            return False
        return True
    if state.conclusion == GONE:
        return True
    # The attempt that is stored: its re-run is planned or awaited, or GitHub has refused it.
    assert run is not None
    return run.rerun_at is None and run.reruns < len(run.attempts)


def _plan(execution: Execution, state: RunState) -> None:
    stored, _ = WorkflowRun.objects.update_or_create(
        pk=execution.pk,
        defaults={
            "attempts": attempts.with_attempt(execution, state),
            "rerun_at": timezone.now() + dt.timedelta(seconds=execution.job.rerun_after_seconds),
        },
    )
    log.info("the failed jobs of a run are run again", extra={"execution": str(stored.pk)})


def ask_for_due(repository: Repository, told: Sequence[Over]) -> int:
    """Ask GitHub for the re-runs that are due; returns how many were."""
    asked = 0
    for execution, state in told:
        run = attempts.run_of(execution)
        if run is None or not is_due(execution):
            continue
        if not state.is_over or attempts.is_new(execution, state):
            # Somebody was faster.
            run.rerun_at, run.reruns = None, len(run.attempts)
        else:
            _ask(repository, execution, run, state)
        run.save(update_fields=["rerun_at", "reruns", "attempts"])
        asked += 1
    return asked


def _ask(repository: Repository, execution: Execution, run: WorkflowRun, state: RunState) -> None:
    job = execution.job
    if refusal := rights_of(job.github_credential_id).refusal(execution.target, job.pic_team_id):
        log.warning("a run is not run again: %s", refusal)
        run.rerun_at = None
        return
    try:
        answer = _post(repository, execution.run_id or 0, whole=state.conclusion == "startup_failure", heed=False)
    except requests.RequestException as exc:
        log.warning("a run could not be run again, trying again: %s", type(exc).__name__)
        run.rerun_at = timezone.now() + _AFTER_FAILURE
        return
    pause = limits.pause_of_answer(answer)
    if pause:
        budgets.pause(budgets.budget_of(job.github_credential_id), pause)
    if answer.status_code == 201 or _ALREADY_RUNNING in answer.text:
        run.reruns, run.rerun_at = len(run.attempts), None
        run.attempts[-1]["run_again_at"] = utc_ms(timezone.now())
    elif answer.status_code < 500 and pause is None:
        log.warning("GitHub answered %d to a re-run: the run counts as failed", answer.status_code)
        run.rerun_at = None
    else:
        run.rerun_at = timezone.now() + _AFTER_FAILURE


def forget_planned(execution: Execution) -> bool:
    """Forget the re-run that an execution waits for; returns whether there was one: nothing runs on GitHub then."""
    planned = WorkflowRun.objects.filter(pk=execution.pk, rerun_at__isnull=False)
    return bool(planned.update(rerun_at=None))


def _post(repository: Repository, run_id: int, *, whole: bool, heed: bool) -> requests.Response:
    verb = "rerun" if whole else "rerun-failed-jobs"
    path = f"/repos/{repository.owner}/{repository.name}/actions/runs/{run_id}/{verb}"
    return github_api.post(path, repository.token, heed=heed)


def run_failed_jobs_again(execution: Execution) -> None:
    """Run the failed jobs of an ended execution's run again; its next attempt decides anew how the execution ended.
    Raises `Not run again` with the reason.
    """
    if execution.status in OPEN or not execution.run_id:
        raise _refused("it has no workflow run that has ended.")
    target = GitHubTarget.parse(execution.target)
    try:
        with github_api.asking(execution.job.github_credential_id) as token:
            repository = Repository(target.github_owner, target.github_repo, token)
            state, _ = listing.ask_single(target.github_owner, target.github_repo, execution.run_id, token)
            whole = execution.run_conclusion == "startup_failure"
            answer = _post(repository, execution.run_id, whole=whole, heed=True)
    except (github_api.NoToken, DomainError, requests.RequestException, UnicodeError, ValueError) as exc:
        raise _refused(f"{github_api.reason(exc)}.") from exc
    if answer.status_code != 201 and _ALREADY_RUNNING not in answer.text:
        raise _refused(f"GitHub answered {answer.status_code}. Look at the run on GitHub.")
    _watch(execution, state)


@transaction.atomic
def _watch(execution: Execution, state: RunState | None) -> None:
    """Follow the run from now on; its last attempt is on record, so that the next one is known. `state`: that of the
    run before it was run again.
    """
    now = timezone.now()
    run, is_new = WorkflowRun.objects.get_or_create(pk=execution.pk)
    if is_new or not run.attempts:
        before = execution.started_at - dt.timedelta(hours=1)
        # The attempt of a run that was given up goes on: its end is news.
        known = state if state and state.is_over else RunState("completed", execution.run_conclusion, None, before)
        run.attempts = attempts.with_attempt(execution, known)
    run.watched_until, run.look_at, run.rerun_at = now + WATCHED, now, None
    run.save(update_fields=["attempts", "watched_until", "look_at", "rerun_at"])


def note_waiting(told: Sequence[Over]) -> None:
    """Note which runs wait for an approval since when, and tell of those that wait for longer than their job says."""
    now = timezone.now()
    for execution, state in told:
        run = attempts.run_of(execution)
        if state.status != "waiting":
            if run and run.waiting_since:
                WorkflowRun.objects.filter(pk=run.pk).update(waiting_since=None, told_waiting=False)
            continue
        if run is None or run.waiting_since is None:
            WorkflowRun.objects.update_or_create(pk=execution.pk, defaults={"waiting_since": now})
            continue
        minutes = execution.job.approval_alert_minutes
        if minutes and not run.told_waiting and now - run.waiting_since >= dt.timedelta(minutes=minutes):
            with transaction.atomic():
                WorkflowRun.objects.filter(pk=run.pk).update(told_waiting=True)
                approval_awaited.send(sender=WorkflowRun, execution=execution, since=run.waiting_since)


def _refused(reason: str) -> Conflict:
    return Conflict("Not run again", f"The failed jobs could not be run again: {reason}")
