"""Outcomes are stored and committed first; who hears of them is decided afterwards. One bad outcome stops no other."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from executions.models import Execution, PendingOutcome, Status
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Outcome
from jobs.models import Job
from notifications import outcomes, routing
from notifications.models import Event, FailureState, Message
from notifications.outcomes import notify_pending
from tests.support.executions import left

pytestmark = pytest.mark.django_db
MakeJob = Callable[..., Job]


def fail(job: Job, *, ok: bool = False) -> Execution:
    execution = left(job)
    store([Finished.of(execution, Outcome(ok, 200 if ok else 500, error="" if ok else "it broke"), None)])
    return execution


def test_an_outcome_is_told_once_after_it_is_stored(make_job: MakeJob) -> None:
    execution = fail(make_job())
    assert Execution.objects.get(pk=execution.pk).status == Status.FAILED
    assert not Event.objects.filter(title="Job Failed").exists()
    assert notify_pending() == 1
    event = Event.objects.get(title="Job Failed")
    assert (event.execution_id, event.message) == (execution.pk, 'Job "Nightly" failed: it broke')
    assert notify_pending() == 0
    assert not PendingOutcome.objects.exists()


def test_one_poisoned_outcome_among_a_thousand(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, browser: Client
) -> None:
    job = make_job()
    executions = [left(job) for _ in range(1000)]
    bad = executions[123].pk
    store([Finished.of(one, Outcome(False, 500, error="it broke"), None) for one in executions])
    notify = routing.notify_outcomes

    def poisoned(finished: Any) -> None:
        notify(finished)
        if any(one.execution_id == bad for one in finished):
            raise ValueError("value too long for type character varying(500)")

    monkeypatch.setattr(outcomes, "notify_outcomes", poisoned)
    while notify_pending():
        continue
    assert Event.objects.filter(title="Job Failed").count() == 999
    aside = PendingOutcome.objects.get()
    assert (aside.execution_id, "too long" in aside.problem) == (bad, True)
    page = reverse("admin:executions_pendingoutcome_changelist")
    assert "value too long" in browser.get(page).content.decode()
    monkeypatch.setattr(outcomes, "notify_outcomes", notify)
    browser.post(page, {"action": "try_again", "_selected_action": [aside.pk]})
    assert notify_pending() == 1
    assert Event.objects.filter(title="Job Failed").count() == 1000


def test_a_database_that_goes_away_keeps_what_is_queued(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(make_job())

    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(outcomes, "notify_outcomes", away)
    with pytest.raises(OperationalError):
        notify_pending()
    assert PendingOutcome.objects.filter(problem="").count() == 1


def test_a_long_address_of_many_scripts_loses_nobodys_notification(make_job: MakeJob, settings: Any) -> None:
    settings.MAIL_ENABLED = True
    long = f"ops@{'日' * 30}.{'本' * 30}.jp"
    job = make_job(enable_email_notifications=True)
    Job.objects.filter(pk=job.pk).update(notification_emails=[long])
    fail(job)
    notify_pending()
    message = Message.objects.get()
    assert (message.recipient, len(message.unsubscribe) > 500) == (long, True)


def test_a_job_that_was_deleted_meanwhile_is_left_out(make_job: MakeJob) -> None:
    fail(make_job())
    Job.objects.all().delete()
    assert notify_pending() == 1
    assert not PendingOutcome.objects.exists()


def test_mark_all_as_read_does_not_read_what_is_stored_later(make_job: MakeJob) -> None:
    execution = left(make_job())
    long_ago = timezone.now() - dt.timedelta(hours=1)
    one = Finished.of(execution, Outcome(False, 500, error="it broke"), None)
    store([one._replace(completed_at=long_ago)])
    notify_pending()
    assert Event.objects.get(title="Job Failed").created_at > timezone.now() - dt.timedelta(minutes=1)


def test_a_job_without_a_channel_has_no_failing_period_to_tell_later(make_job: MakeJob, settings: Any) -> None:
    settings.MAIL_ENABLED = True
    job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"])
    fail(job)
    notify_pending()
    assert FailureState.objects.exists()
    Job.objects.filter(pk=job.pk).update(enable_email_notifications=False)
    fail(job, ok=True)
    notify_pending()
    assert not FailureState.objects.exists()


def test_a_burst_is_one_digest_of_bounded_size(make_job: MakeJob, settings: Any, admin: User) -> None:
    settings.MAIL_ENABLED = True
    job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"])
    for _ in range(3):
        executions = [left(job) for _ in range(400)]
        store([Finished.of(one, Outcome(False, 500, error="it broke"), None) for one in executions])
        while notify_pending():
            continue
    messages = Message.objects.order_by("created_at")
    assert sum(message.alert_count for message in messages) == 1200
    assert len(messages) <= 3
    assert max(len(message.alerts) for message in messages) <= 200
    assert uuid.UUID(messages[0].alerts[0]["id"].split()[1])
