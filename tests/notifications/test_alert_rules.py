"""Rules of a job's alerts: failures by threshold, recovery, slowness, reminders, digests; and the reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import User
from audit.models import ChangeRecord
from executions.models import Execution
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Outcome
from jobs.models import Job
from jobs.services import set_active
from notifications import alert_rules, rendering
from notifications.acknowledgements import acknowledge
from notifications.models import FailureState, Message
from notifications.outcomes import notify_pending
from notifications.reports import send_daily, send_weekly
from notifications.routing import notify_outcomes, notify_unrun, remind_of_failing_jobs
from settings_app.models import Preferences, SlackSettings
from taxonomy.models import PicTeam
from tests.support.executions import finished

pytestmark = pytest.mark.django_db
MAIL = {"enable_email_notifications": True, "notification_emails": ["a@example.com"]}


@pytest.fixture(autouse=True)
def _mailing(settings: Any) -> None:
    settings.MAIL_ENABLED = True


def subjects() -> list[str]:
    return [one.subject.removeprefix("[Cronsched] ") for one in Message.objects.order_by("created_at", "id")]


def ran(job: Job, outcomes: str) -> None:
    for outcome in outcomes:
        notify_outcomes([finished(job, ok=outcome == "S")])


def test_by_default_each_failure_is_told(make_job: Callable[..., Job]) -> None:
    ran(make_job(**MAIL), "FSFF")
    assert subjects() == ["Nightly failed"] * 3


def test_so_many_in_a_row_then_silence_until_it_recovers(make_job: Callable[..., Job]) -> None:
    job = make_job(**MAIL, alert_after_failures=3, notify_on_recovery=True)
    ran(job, "FFSFF")
    assert subjects() == []
    ran(job, "FFFF")
    assert subjects() == ["Nightly failed"]
    ran(job, "S")
    assert subjects() == ["Nightly failed", "Nightly has recovered"]
    assert "6 runs failed" in Message.objects.get(subject__contains="recovered").text
    assert not FailureState.objects.filter(since__isnull=False).exists()


def test_so_many_of_the_last_runs_for_jobs_that_flap(make_job: Callable[..., Job]) -> None:
    job = make_job(**MAIL, alert_after_failures=3, alert_window=5, notify_on_recovery=True)
    ran(job, "FSFS")
    assert subjects() == []
    ran(job, "F")
    assert subjects() == ["Nightly failed"]
    ran(job, "SFSF")
    assert subjects() == ["Nightly failed"]
    ran(job, "SSS")
    assert subjects() == ["Nightly failed", "Nightly has recovered"]


def test_reminders_come_daily_until_somebody_acknowledges(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job(**MAIL, alert_after_failures=2)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        ran(job, "FF")
    with time_machine.travel(now + dt.timedelta(hours=23), tick=False):
        assert remind_of_failing_jobs() == 0
    for days in (1, 2):
        with time_machine.travel(now + dt.timedelta(days=days, minutes=days), tick=False):
            assert remind_of_failing_jobs() == 1
            assert remind_of_failing_jobs() == 0
    assert subjects() == ["Nightly failed", "Nightly is still failing", "Nightly is still failing"]
    assert acknowledge(job, by=admin)
    assert not acknowledge(job, by=admin)
    assert [one.by for one in ChangeRecord.objects.filter(kind="acknowledged", subject_id=job.pk)] == [admin]
    with time_machine.travel(now + dt.timedelta(days=9), tick=False):
        assert remind_of_failing_jobs() == 0
        ran(job, "SFF")
        assert subjects()[-1] == "Nightly failed"


def test_a_slow_run_is_told(make_job: Callable[..., Job]) -> None:
    job = make_job(**MAIL, slow_after_seconds=5)
    slow = finished(job, ok=True)
    slow = slow._replace(started_at=slow.completed_at - dt.timedelta(seconds=7))
    notify_outcomes([slow, finished(job, ok=True)])
    assert subjects() == ["Nightly was slow"]
    assert "it took 7.0 s, more than 5 s" in Message.objects.get().text


def test_missed_fire_times_are_told_once_a_day(make_job: Callable[..., Job]) -> None:
    asking, other = make_job(**MAIL, notify_on_missed=True), make_job(name="other", **MAIL)
    for _ in range(2):
        notify_unrun({asking.pk: 3, other.pk: 1})
    assert subjects() == ["Nightly was missed or skipped"]
    assert "missed or skipped 3 fire times" in Message.objects.get().text


def test_many_missed_jobs_are_one_digest(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", notify_on_missed=True, **MAIL) for number in range(12)]
    notify_unrun({job.pk: 1 for job in jobs})
    assert subjects() == ["12 alerts"]


@pytest.mark.django_db(transaction=True)
def test_telling_of_missed_fire_times_never_stops_firing(make_job: Callable[..., Job]) -> None:
    from scheduler.firing import fire
    from scheduler.leadership import Leader

    odd, good = make_job(name="odd", notify_on_missed=True, misfire_policy="skip", **MAIL), make_job(name="good")
    now = timezone.now()
    Job.objects.filter(pk=odd.pk).update(notification_emails=5, next_run_at=now - dt.timedelta(hours=2))
    Job.objects.filter(pk=good.pk).update(next_run_at=now)
    leader = Leader()
    leader.take_over()
    fire(leader)
    assert set(Job.objects.filter(next_run_at__gt=now).values_list("name", flat=True)) == {"odd", "good"}


def test_a_burst_is_one_digest(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"<job {number}>", **MAIL) for number in range(12)]
    notify_outcomes([finished(job) for job in jobs])
    (digest,) = Message.objects.all()
    assert digest.subject == "[Cronsched] 12 alerts"
    rendering.draw_if_digest(digest)
    assert "&lt;job 7&gt;" in digest.html
    assert all(f'"<job {number}>"' in digest.text for number in range(12))


def test_what_trickles_in_after_five_alerts_is_gathered_for_five_minutes(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(name=f"job {number}", alert_slack=True, **MAIL) for number in range(9)]
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    with time_machine.travel(dt.datetime(2026, 12, 1, 0, 1, tzinfo=dt.UTC), tick=False) as clock:
        for job in jobs:
            notify_outcomes([finished(job)])
            clock.shift(10)
        by_mail = Message.objects.filter(channel="email").order_by("created_at", "id")
        assert [one.subject.removeprefix("[Cronsched] ") for one in by_mail] == [
            *(f"job {number} failed" for number in range(5)),
            "4 alerts",
        ]
        digest, in_slack = by_mail[5], Message.objects.filter(channel="slack").order_by("created_at", "id")
        assert [line["job"] for line in digest.alerts] == [f"job {number}" for number in range(5, 9)]
        assert digest.next_attempt_at == dt.datetime(2026, 12, 1, 0, 5, tzinfo=dt.UTC)
        rendering.draw_if_digest(digest)
        assert "job 8" in digest.text
        assert "job 8" in digest.html
        assert [len(one.alerts) for one in in_slack] == [1, 1, 1, 1, 1, 4]
        in_channel = in_slack[5]
        rendering.draw_if_digest(in_channel)
        assert in_channel.text.startswith("@qa 4 alerts:")
        clock.shift(15 * 60)
        notify_outcomes([finished(jobs[0])])
        assert by_mail.all().count() == 7


def test_who_does_not_want_mail_of_failures_gets_none(make_job: Callable[..., Job], user: User) -> None:
    job = make_job(
        enable_email_notifications=True,
        notification_emails=["Uma@example.com", "b@example.com"],
        notify_on_success=True,
    )
    Preferences.objects.create(user=user, email_on_job_failure=False)
    ran(job, "FS")
    told = Message.objects.order_by("created_at", "id").values_list("subject", "recipient")
    assert {(subject.split()[-1], recipient.lower()) for subject, recipient in told} == {
        ("failed", "b@example.com"),
        ("completed", "b@example.com"),
        ("completed", "uma@example.com"),
    }


def test_an_owner_who_asks_for_it_hears_that_somebody_else_disabled_a_job(
    make_job: Callable[..., Job], user: User, admin: User
) -> None:
    job = make_job(by=user)
    set_active(job, False, by=admin)
    assert not Message.objects.exists()
    Preferences.objects.create(user=user, email_on_job_disabled=True)
    for active, by in [(True, admin), (False, user), (True, user), (False, admin)]:
        job.refresh_from_db()
        set_active(job, active, by=by)
    assert [(one.subject, one.recipient) for one in Message.objects.all()] == [
        ("[Cronsched] Nightly was disabled", "uma@example.com")
    ]


def test_a_run_well_beyond_its_own_history_is_told(make_job: Callable[..., Job]) -> None:
    job = make_job(**MAIL, slow_by_history=True)

    def took(seconds: float) -> None:
        began = timezone.now() - dt.timedelta(seconds=seconds)
        one = Execution.objects.create(
            job=job, status="running", trigger_type="scheduled", execution_type="webhook", target="x", started_at=began
        )
        store([Finished.of(one, Outcome(True), None)])
        notify_pending()

    took(90)
    for _ in range(4):
        took(4)
    took(9)
    assert subjects() == []
    took(4)
    took(13)
    assert subjects() == ["Nightly was slow"]
    assert "it took 13.0 s, where its latest runs took 4.0 s" in Message.objects.get().text


def test_what_can_cause_no_alert_reads_neither_job_nor_history(
    make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    ordinary = [make_job(name=f"ordinary {n}", **MAIL) for n in range(20)]
    by_history = make_job(name="by history", **MAIL, slow_by_history=True)
    asking = make_job(name="asking", **MAIL, notify_on_success=True)
    short, long = finished(by_history, ok=True), finished(by_history, ok=True)
    short = short._replace(started_at=short.completed_at - dt.timedelta(seconds=4))
    long = long._replace(started_at=long.completed_at - dt.timedelta(seconds=6))
    with CaptureQueriesContext(connection) as asked:
        assert alert_rules.alerts_of([finished(job, ok=True) for job in ordinary]) == []
    sql = asked.captured_queries[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert ("jobs_job" in sql, cursor.fetchall()) == (True, [])
    # The events, failing periods, and jobs that may have an alert.
    with django_assert_num_queries(3):
        notify_outcomes([finished(job, ok=True) for job in ordinary] + [short])
    assert subjects() == []
    with django_assert_num_queries(4):
        notify_outcomes([finished(job, ok=True) for job in ordinary] + [long])
    notify_outcomes([finished(job, ok=True) for job in [*ordinary, asking]])
    assert subjects() == ["asking completed"]


def test_slack_by_the_same_rule_with_the_teams_mention(make_job: Callable[..., Job]) -> None:
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    job = make_job(name="<!here> *bold*", alert_slack=True, alert_after_failures=2, notify_on_recovery=True)
    ran(job, "FFFS")
    failed, recovered = Message.objects.order_by("created_at", "id")
    assert failed.text.startswith("@qa Job *&lt;!here&gt; ∗bold∗*")
    assert "<!here>" not in failed.text
    assert "has recovered" in recovered.text
    section, actions = failed.blocks
    assert "&lt;!here&gt;" in section["text"]["text"]
    assert [button["text"]["text"] for button in actions["elements"]] == ["Open the job", "Open the execution"]


def test_slack_without_a_handle_mentions_nobody(make_job: Callable[..., Job], team: PicTeam) -> None:
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    PicTeam.objects.update(slack_handle="")
    ran(make_job(name="Nightly", alert_slack=True), "F")
    told = Message.objects.get()
    assert told.text.startswith("Job *Nightly* failed")
    assert told.blocks[0]["text"]["text"] == told.blocks[0]["text"]["text"].strip()


def test_mail_says_how_to_end_it(make_job: Callable[..., Job], settings: Any) -> None:
    from django.core import mail

    from notifications.outbox import send_due

    settings.PUBLIC_URL = "https://cron.example.com"
    ran(make_job(**MAIL), "F")
    send_due("email")
    header = mail.outbox[0].extra_headers["List-Unsubscribe"]
    assert header.startswith("<https://cron.example.com/unsubscribe/")
    assert header.strip("<>") in mail.outbox[0].body


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("FS", max_size=25), st.integers(1, 4), st.integers(0, 6))
def test_alerts_are_those_of_a_simple_model(
    make_job: Callable[..., Job], outcomes: str, after: int, window: int
) -> None:
    """However outcomes are cut into batches, the alerts are the same: one when the rule is first met, one when it is
    well again.
    """
    Message.objects.all().delete()
    Job.objects.all().delete()
    job = make_job(**MAIL, alert_after_failures=after, alert_window=window, notify_on_recovery=True)
    batch = [finished(job, ok=outcome == "S") for outcome in outcomes]
    for start in range(0, len(batch), 3):
        notify_outcomes(batch[start : start + 3])
    expected, told, history = [], False, ""
    for outcome in outcomes:
        history += outcome
        recent = history[-window:] if window else history
        bad = recent.count("F") >= min(after, window) if window else history.endswith("F" * after)
        if outcome == "F" and bad and (not told or (after == 1 and not window)):
            expected.append("failed")
            told = True
        elif outcome == "S" and (not window or history.endswith("S" * min(after, window))):
            expected += ["has recovered"] if told else []
            told = False
    told_of = [line["id"].split()[0] for one in Message.objects.order_by("created_at", "id") for line in one.alerts]
    assert told_of == ["recovered" if one == "has recovered" else one for one in expected]


def test_reports_go_to_those_who_asked_once(make_job: Callable[..., Job], user: User, admin: User) -> None:
    from tests.support.executions import ran as executed

    executed(make_job(), "failed")
    Preferences.objects.update_or_create(user=user, defaults={"daily_digest": True, "weekly_report": True})
    Preferences.objects.update_or_create(user=admin, defaults={"daily_digest": False})
    for _ in range(2):
        send_daily()
        send_weekly()
    assert sorted(subjects()) == ["1 failed runs in the last day", "1 failed runs in the last week"]
    assert {one.recipient for one in Message.objects.all()} == {"uma@example.com"}
    assert "Failing most" in Message.objects.all()[0].text
