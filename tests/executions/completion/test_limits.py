"""Work that ends later, but not in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from executions.completion.limits import end_overdue
from executions.models import Execution, Poll, Report
from tests.executions.completion.conftest import Begin

pytestmark = pytest.mark.django_db(transaction=True)


def began(execution: Execution, minutes: float) -> None:
    """Let an execution have begun so many minutes ago."""
    then = timezone.now() - dt.timedelta(minutes=minutes)
    attempts = [{**one, "started_at": then.isoformat()} for one in execution.attempts]
    Execution.objects.filter(pk=execution.pk).update(started_at=then, attempts=attempts)


def test_what_takes_too_long_fails(begin: Begin) -> None:
    execution, other = begin(run_limit_minutes=30), begin(run_limit_minutes=31)
    for one in (execution, other):
        began(one, 30.5)
    assert end_overdue() == 1
    execution.refresh_from_db()
    assert (execution.status, execution.error_message) == (
        "failed",
        "It was not over after 30 minutes; it is no longer waited for.",
    )
    assert Execution.objects.get(pk=other.pk).status == "running"


def test_silence_fails_and_progress_is_none(begin: Begin, tell: Callable[..., Any]) -> None:
    silent, heard = begin(stall_minutes=5), begin(stall_minutes=5)
    tell(heard, status="progress", message="half")
    for one in (silent, heard):
        began(one, 6)
    assert end_overdue() == 1
    silent.refresh_from_db()
    assert silent.error_message == "Its receiver told nothing for 5 minutes; it is no longer waited for."
    Report.objects.update(told_at=timezone.now() - dt.timedelta(minutes=6))
    assert end_overdue() == 1
    heard.refresh_from_db()
    assert heard.error_message.endswith("no longer waited for. The last that it told: half")


def test_a_late_end_is_told_that_it_is_late(begin: Begin, tell: Callable[..., Any]) -> None:
    execution = begin(run_limit_minutes=1)
    began(execution, 2)
    end_overdue()
    answer = tell(execution, status="success")
    assert (answer.status_code, answer.json()["error"]) == (409, "Execution already ended")
    assert "It has ended with the status 'failed'." in answer.json()["message"]


def test_the_problem_of_a_status_address_is_told(begin: Begin) -> None:
    execution = begin("poll", {"Location": "/status"}, run_limit_minutes=1)
    Poll.objects.update(problem="Webhook returned status 503")
    began(execution, 2)
    end_overdue()
    execution.refresh_from_db()
    assert execution.error_message.endswith("Its status address: Webhook returned status 503.")


def test_a_workflow_run_is_none_of_its_business(begin: Begin) -> None:
    execution = begin(run_limit_minutes=1)
    began(execution, 2)
    Execution.objects.update(run_id=7)
    assert end_overdue() == 0


def test_silence_is_counted_from_the_answer(begin: Begin) -> None:
    execution = begin(stall_minutes=5)
    began(execution, 6)
    execution.refresh_from_db()
    attempts = [{**execution.attempts[0], "duration_seconds": 120}]
    Execution.objects.filter(pk=execution.pk).update(attempts=attempts)
    assert end_overdue() == 0


def test_a_status_address_is_never_silent(begin: Begin) -> None:
    execution = begin("poll", {"Location": "/status"}, stall_minutes=5)
    began(execution, 6)
    assert end_overdue() == 0
