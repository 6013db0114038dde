"""The end of a run decides how its execution ends; a later attempt of a run that failed decides anew."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from executions.models import OPEN, Execution, Report, Status, StepLog, WorkflowRun
from executions.recording.outcomes import Finished
from executions.recording.storage import correct_outcome, store
from executions.runs import attempts, evidence, record
from executions.runs.evidence import Evidence, Over, Repository
from executions.runs.states import FAILURES, SUCCESSFUL, RunState
from executions.targets.base import Outcome
from executions.targets.github import failures, test_reports
from executions.targets.github.test_reports import Change

log = logging.getLogger("cronsched.following")
# How long a run that ended badly is followed, because people run it again.
WATCHED = dt.timedelta(hours=24)
_NOTHING = Evidence()
_LONGEST_MESSAGE = 1_000
DISPLACED = "displaced by a newer run of its concurrency group before any job began"


def settle(repository: Repository, over: Sequence[Over], runs: Mapping[int, RunState]) -> None:
    """End the executions whose run has ended. `runs`: all of the repository that are known, by id."""
    found, ready = evidence.gather(repository, over, runs)
    try:
        _store(ready, found)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("the ends of runs could not be stored together: storing one by one")
        for one, state in ready:
            _store_or_end(one, state, found)


def _store(over: Sequence[Over], found: Mapping[UUID, Evidence]) -> None:
    with transaction.atomic():
        store([_finished(one, state, found.get(one.pk, _NOTHING)) for one, state in over])


def _store_or_end(execution: Execution, state: RunState, found: Mapping[UUID, Evidence]) -> None:
    """Store one end; if it cannot be stored as GitHub told it, the execution ends with that reason."""
    try:
        _store([(execution, state)], found)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("the end of a run could not be stored", extra={"execution": str(execution.pk)})
        store([Finished.of(execution, Outcome(False, error="what GitHub told of the run cannot be stored"), None)])


def correct(repository: Repository, told: Sequence[Over], *, most: int) -> int:
    """Change how executions ended whose run was run again since, at most so many; returns how many."""
    again = [(one, state) for one, state in told if state.is_over and attempts.is_new(one, state)][:most]
    found, ready = evidence.gather(repository, again, {})
    for one, state in ready:
        with transaction.atomic():
            finished = _finished(one, state, found.get(one.pk, _NOTHING))
            correct_outcome(one.pk, finished.outcome, state.seconds or 0.0)
    return len(ready)


def _finished(execution: Execution, state: RunState, found: Evidence) -> Finished:
    url = state.url or execution.run_url
    number = attempts.number_of(execution, state)
    Execution.objects.filter(pk=execution.pk).update(
        run_conclusion=state.conclusion, run_url=url, run_attempt=state.attempt or number, run_seconds=state.seconds
    )
    is_success = state.conclusion in SUCCESSFUL
    # A re-run that is displaced takes no failure back.
    is_first = not attempts.attempts_of(execution)
    may_be_skipped = is_first and execution.status in OPEN
    is_displaced = found.is_displaced and may_be_skipped and not execution.job.fail_if_displaced
    change = _store_report(execution, found, is_success=is_success)
    if not is_displaced:
        _store_attempt(execution, state, is_success=is_success)
    if is_success:
        flaky = "" if is_first else f" at attempt {number}: flaky"
        told = f"{_note(execution)}The workflow run ended: {state.conclusion}{flaky}.{_sentence(change)} {url}"
        return Finished.of(execution, Outcome(True, execution.response_status, told), None)
    if is_displaced:
        outcome = Outcome(False, execution.response_status, execution.output, f"skipped: {DISPLACED}. {url}")
        return Finished.of(execution, outcome, None, Status.SKIPPED)
    outcome = Outcome(False, execution.response_status, execution.output, _error(state, found, change, url))
    return Finished.of(execution, outcome, None)


def _error(state: RunState, found: Evidence, change: Change | None, url: str) -> str:
    reason = FAILURES.get(state.conclusion, f"ended as {state.conclusion or 'unknown'}")
    if found.is_displaced:
        reason = f"was {DISPLACED}"
    what = failures.summary(list(found.failed))
    return f"The workflow run {reason}{f': {what}' if what else ''}.{_sentence(change)} {url}"


def _note(execution: Execution) -> str:
    """What was put right before the dispatch, which stays on the execution."""
    note, found, _ = execution.output.partition("Workflow triggered successfully")
    return note if found else ""


def _sentence(change: Change | None) -> str:
    """Such as " Tests: newly failing: 2, fixed: 1."; '' if there is nothing to say."""
    if change is None or not change.words:
        return ""
    named = f" ({'; '.join(change.new[:3])})" if change.new else ""
    return f" Tests: {change.words}{named}."


def watch(given_up: Sequence[Execution]) -> None:
    """Follow runs that are no longer waited for: an end within a day corrects how their executions ended."""
    for execution in given_up:
        WorkflowRun.objects.update_or_create(pk=execution.pk, defaults={"watched_until": timezone.now() + WATCHED})


def _store_attempt(execution: Execution, state: RunState, *, is_success: bool) -> None:
    """Only runs that failed, were given up, or were run again, have a row."""
    before, run = attempts.attempts_of(execution), attempts.run_of(execution)
    if is_success and not before and not (run and run.watched_until):
        return
    WorkflowRun.objects.update_or_create(
        pk=execution.pk,
        defaults={
            "attempts": attempts.with_attempt(execution, state) if attempts.is_new(execution, state) else before,
            "rerun_at": None,
            "is_flaky": is_success and bool(before),
            # A run that is gone is not run again.
            "watched_until": None if is_success or state.started_at is None else timezone.now() + WATCHED,
        },
    )


def _store_report(execution: Execution, found: Evidence, *, is_success: bool) -> Change | None:
    """Store what was found in place of what an attempt before had; returns how the failing tests differ from those of
    the job's last report.
    """
    tests = found.tests
    values = {
        "status": Report.State.SUCCESS if is_success else Report.State.FAILED,
        "told_at": timezone.now(),
        "message": "\n".join(found.left_out)[:_LONGEST_MESSAGE],
        "failures": [one._asdict() for one in found.failed],
        "counts": tests.counts if tests else {},
        "failing_tests": list(tests.failing) if tests else None,
    }
    if found.failed or tests or found.left_out:
        Report.objects.update_or_create(pk=execution.pk, defaults=values)
    else:
        Report.objects.filter(pk=execution.pk).update(**values)
    if found.log:
        defaults = {"step": found.failed[0].words, "text": found.log, "kept_at": timezone.now()}
        StepLog.objects.update_or_create(pk=execution.pk, defaults=defaults)
    else:
        StepLog.objects.filter(pk=execution.pk).delete()
    return test_reports.compare(record.last_report(execution), list(tests.failing)) if tests else None
