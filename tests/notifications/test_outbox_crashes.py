"""Each recipient gets a message once for each channel, and at least once if a process dies while it sends."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from executions.models import Execution, PendingOutcome
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Outcome
from jobs.models import Job
from notifications import outbox
from notifications.channels import email
from notifications.models import Message
from notifications.outcomes import notify_pending

pytestmark = pytest.mark.django_db
PEOPLE = ["a@example.com", "b@example.com"]


class Crash(BaseException):
    """A process that ends here."""


class Mail:
    """A mail server, and processes that die before, while and after they talk to it."""

    def __init__(self, crashes: Iterator[str]) -> None:
        self.crashes = crashes
        self.arrived: Counter[tuple[str, str]] = Counter()
        self.died_after = 0

    def send(self, mail: Any) -> int:
        point = next(self.crashes, "none")
        if point == "refused":
            raise OSError("451 try again later")
        if point == "before":
            raise Crash
        self.arrived[mail.to[0], mail.extra_headers["Message-ID"]] += 1
        if point == "after":
            self.died_after += 1
            raise Crash
        return 1


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["none", "none", "refused", "before", "after"]), max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_once_for_each_person(
    make_job: Callable[..., Job], settings: Any, monkeypatch: Any, crashes: list[str], recorded_at_once: list[bool]
) -> None:
    settings.MAIL_ENABLED = True
    Message.objects.all().delete()
    Job.objects.all().delete()
    job = make_job(enable_email_notifications=True, notification_emails=PEOPLE)
    mail = Mail(iter(crashes))
    monkeypatch.setattr(email.EmailMultiAlternatives, "send", lambda one: mail.send(one))
    for at_once in recorded_at_once:
        _end(job, at_once)
    assert Message.objects.count() == 2 * len(recorded_at_once)
    moment = timezone.now()
    for _ in range(30):
        moment += dt.timedelta(minutes=70)
        with time_machine.travel(moment, tick=False):
            try:
                outbox.send_due("email")
            except Crash:
                continue
    told = {person: {pk for to, pk in mail.arrived if to == person} for person in PEOPLE}
    assert all(len(ids) == len(recorded_at_once) for ids in told.values())
    # A second copy, with the same Message-ID, comes only of a death between the server's answer and our note of it.
    assert sum(mail.arrived.values()) - len(mail.arrived) == mail.died_after


def _end(job: Job, at_once: bool) -> None:
    """An execution fails; its recorder dies before the outcome is stored, or another stores it a second time."""
    execution = Execution.objects.create(
        job=job, status="running", trigger_type="scheduled", execution_type="webhook", target="x"
    )
    outcome = Finished.of(execution, Outcome(False, 500, error="Webhook returned status 500"), None)
    if not at_once:
        try:
            with transaction.atomic():
                store([outcome])
                raise Crash
        except Crash:
            assert Execution.objects.get(pk=execution.pk).status == "running"
    store([outcome])
    store([outcome])
    try:
        with transaction.atomic():
            notify_pending()
            raise Crash
    except Crash:
        assert PendingOutcome.objects.exists()
    notify_pending()
