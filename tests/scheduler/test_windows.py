"""Firing inside windows: skipped, held until the end, and exactly as before afterwards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from core.api.errors import Conflict, Forbidden
from executions import holds, recovery
from executions.models import Execution, Hold, Status
from executions.services import trigger_now
from jobs.models import Job
from jobs.services import run_next_after_all, set_active, skip_next_run
from scheduler.explain import explain
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.firing import MINUTE, NOON, MakeJob, fire_at, made_at_noon
from windows import services
from windows.cover import is_stopped
from windows.models import Window

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
HOUR = dt.timedelta(hours=1)


def opened(by: User | None = None, **fields: Any) -> Window:
    """A window from 12:00 to 13:00, over all jobs unless said."""
    scope = {} if {"teams", "jobs", "categories", "hosts", "repositories"} & set(fields) else {"is_for_all": True}
    body = {"name": "Release", "starts_at": NOON, "ends_at": NOON + HOUR, **scope, **fields}
    with time_machine.travel(NOON, tick=False):
        return services.create(body, by=by)


def rows(job: Job) -> list[tuple[int, str, str]]:
    """Minute after noon, status and reason of a job's executions."""
    found = Execution.objects.filter(job=job).order_by("scheduled_for")
    return [
        (round((one.scheduled_for - NOON) / MINUTE), one.status, one.error_message)
        for one in found
        if one.scheduled_for
    ]


def test_a_fire_time_inside_is_skipped_and_the_end_changes_nothing(make_job: MakeJob, leader: Leader) -> None:
    job, off = made_at_noon(make_job), made_at_noon(make_job, name="Off", is_active=False)
    opened(ends_at=NOON + 2 * MINUTE)
    for minute in (1, 2, 3):
        fire_at(leader, NOON + minute * MINUTE)
    assert rows(job) == [
        (1, "skipped", "skipped: window Release"), (2, "running", ""), (3, "running", "")]  # fmt: skip
    off.refresh_from_db()
    assert not off.is_active
    assert rows(off) == []


@pytest.mark.parametrize(
    ("scope", "is_inside"),
    [
        ({"teams": ["qa-team"]}, True), ({"teams": ["other"]}, False), ({"categories": ["general"]}, True),
        ({"hosts": ["HOOKS.example.com"]}, True), ({"hosts": ["other.example.com"]}, False),
        ({"repositories": ["acme/web"]}, False), ({"teams": ["other"], "hosts": ["hooks.example.com"]}, True),
    ],
)  # fmt: skip
def test_the_scope_decides(make_job: MakeJob, leader: Leader, scope: dict[str, Any], is_inside: bool) -> None:
    from taxonomy.models import PicTeam

    PicTeam.objects.create(name="Other", slug="other", slack_handle="@o")
    job = made_at_noon(make_job, target_url="https://hooks.example.com/x")
    opened(**scope)
    fire_at(leader, NOON + MINUTE)
    assert (rows(job)[0][1] == "skipped") is is_inside


def test_a_workflow_is_covered_by_its_repository(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(
        make_job, target_url=None, github_owner="Acme", github_repo="Web", github_workflow_name="nightly.yml"
    )
    opened(repositories=["acme/web"])
    fire_at(leader, NOON + MINUTE)
    assert rows(job)[0][1] == "skipped"


def test_of_held_fire_times_the_latest_runs_once_after_the_end(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    job = made_at_noon(make_job)
    opened(effect="hold", ends_at=NOON + 3 * MINUTE)
    fire_at(leader, NOON + MINUTE)
    fire_at(leader, NOON + 2 * MINUTE)
    assert rows(job) == [
        (1, "skipped", "skipped: a later fire time is held in its place"),
        (2, "queued", "held: window Release"),
    ]
    assert handed == []
    until = Hold.objects.get().until
    assert NOON + 3 * MINUTE <= until < NOON + 8 * MINUTE
    with time_machine.travel(until - dt.timedelta(seconds=1), tick=False):
        assert not holds.are_due()
    with time_machine.travel(until, tick=False):
        assert holds.are_due()
        Job.objects.update(next_run_at=NOON + HOUR)
        fire(leader)
        fire(leader)
        assert not holds.are_due()
    assert [delivery.scheduled_for for delivery in handed] == [NOON + 2 * MINUTE]
    assert rows(job)[1][1] == "running"


def test_of_one_late_look_only_the_latest_is_held(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job, misfire_policy="run_all")
    opened(effect="hold")
    fire_at(leader, NOON + 3 * MINUTE)
    assert [status for _minute, status, _why in rows(job)] == ["skipped", "skipped", "queued"]


def test_ending_a_window_releases_what_it_holds(make_job: MakeJob, leader: Leader, admin: User) -> None:
    job = made_at_noon(make_job)
    window = opened(jobs=[str(job.pk)], effect="hold", ends_at=None)
    fire_at(leader, NOON + MINUTE)
    assert Hold.objects.get().until.year == 9999
    with time_machine.travel(NOON + 90 * dt.timedelta(seconds=1), tick=False):
        services.end(window, by=admin)
        assert not holds.review(timezone.now())
    assert NOON + MINUTE < Hold.objects.get().until < NOON + 7 * MINUTE


def test_a_restart_inside_a_window_changes_nothing(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    job, skipped = made_at_noon(make_job), made_at_noon(make_job, name="Skipped")
    opened(jobs=[str(job.pk)], effect="hold", ends_at=NOON + 4 * HOUR)
    opened(jobs=[str(skipped.pk)], ends_at=NOON + 4 * HOUR)
    fire_at(leader, NOON + MINUTE)
    before = rows(job), rows(skipped), Hold.objects.get().until
    # The scheduler is down for two hours; another one takes over, and looks for what the first one left.
    with time_machine.travel(NOON + 2 * HOUR, tick=False):
        successor = Leader()
        successor.take_over()
        recovery.recover()
        recovery.end_missed()
        recovery.rescue()
        fire(successor)
        # No fire time is missed: each is skipped, or held until a later one is.
        assert {status for _minute, status, _why in rows(job)} == {"skipped", "queued"}
        assert {status for _minute, status, _why in rows(skipped)} == {"skipped"}
        assert (rows(skipped)[0], Hold.objects.get().until) == (before[1][0], before[2])
        assert handed == []
    with time_machine.travel(NOON + 4 * HOUR + 6 * MINUTE, tick=False):
        Job.objects.filter(pk=job.pk).update(next_run_at=NOON + 6 * HOUR)
        Job.objects.filter(pk=skipped.pk).update(next_run_at=NOON + 6 * HOUR)
        fire(successor)
    assert [delivery.scheduled_for for delivery in handed] == [NOON + 2 * HOUR]


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        ("skip", ["missed", "missed", "missed"]), ("run_once", ["missed", "missed", "running"]),
        ("run_all", ["skipped", "running", "running"]),
    ],
)  # fmt: skip
def test_the_end_of_a_window_long_ago_is_a_misfire(
    make_job: MakeJob, leader: Leader, policy: str, ends: list[str]
) -> None:
    job = made_at_noon(make_job, cron_expression="0 * * * *", misfire_policy=policy, misfire_grace_seconds=60)
    opened(effect="hold", starts_at=NOON, ends_at=NOON + 2.5 * HOUR)
    fire_at(leader, NOON + 3.2 * HOUR)
    assert [status for _minute, status, _why in rows(job)] == ends


@pytest.mark.parametrize("policy", ["skip", "run_once", "run_all"])
@pytest.mark.parametrize(("effect", "ends"), [("skip", ["skipped", "skipped"]), ("hold", ["skipped", "queued"])])
def test_what_a_window_covers_is_no_misfire(
    make_job: MakeJob, leader: Leader, policy: str, effect: str, ends: list[str]
) -> None:
    """The scheduler was down while two fire times passed inside it."""
    job = made_at_noon(make_job, cron_expression="30 12,13 * * *", misfire_policy=policy)
    opened(effect=effect, ends_at=NOON + 6 * HOUR)
    fire_at(leader, NOON + 150 * MINUTE)
    assert [status for _minute, status, _why in rows(job)] == ends


def test_of_what_was_missed_the_latest_outside_a_window_runs(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job, cron_expression="0 13,14 * * *")
    opened(starts_at=NOON + 90 * MINUTE, ends_at=NOON + 6 * HOUR)
    fire_at(leader, NOON + 150 * MINUTE)
    assert [(minute, status) for minute, status, _why in rows(job)] == [(60, "running"), (120, "skipped")]


def test_skip_is_stronger_than_hold(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job)
    opened(name="Hold", effect="hold")
    opened(name="Skip")
    fire_at(leader, NOON + MINUTE)
    assert rows(job) == [(1, "skipped", "skipped: window Skip")]


def test_a_late_fire_time_is_judged_by_the_windows_of_its_own_time(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job, misfire_policy="run_all")
    opened(ends_at=NOON + 2 * MINUTE)
    fire_at(leader, NOON + 3 * MINUTE)
    assert [status for _minute, status, _why in rows(job)] == ["skipped", "running", "running"]


def test_a_recurring_window(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job)
    # 12:00 to 12:02 each day, Japan's time.
    opened(name="Lunch", cron_expression="0 12 * * *", minutes=2, ends_at=NOON + 48 * HOUR)
    for minute in (1, 2):
        fire_at(leader, NOON + minute * MINUTE)
    Job.objects.update(next_run_at=NOON + 24 * HOUR)
    fire_at(leader, NOON + 24 * HOUR)
    assert [status for _minute, status, _why in rows(job)] == ["skipped", "running", "skipped"]


def test_a_recurring_window_is_read_in_the_zone_of_each_job(make_job: MakeJob, leader: Leader) -> None:
    tokyo, berlin = made_at_noon(make_job), made_at_noon(make_job, name="Berlin", time_zone="Europe/Berlin")
    # 12:00 in Tokyo is 04:00 in Berlin.
    opened(name="Night", cron_expression="0 4 * * *", minutes=2, ends_at=NOON + 48 * HOUR)
    with time_machine.travel(NOON, tick=False):
        assert set(Job.objects.filter(is_stopped(NOON))) == {berlin}
    for minute in (1, 2):
        fire_at(leader, NOON + minute * MINUTE)
    assert [status for _minute, status, _why in rows(tokyo)] == ["running", "running"]
    assert [status for _minute, status, _why in rows(berlin)] == ["skipped", "running"]


def test_the_next_run_is_skipped_until_somebody_takes_it_back(make_job: MakeJob, leader: Leader, admin: User) -> None:
    job = made_at_noon(make_job)
    skip_next_run(job, by=admin)
    fire_at(leader, NOON + MINUTE)
    fire_at(leader, NOON + 2 * MINUTE)
    assert [status for _minute, status, _why in rows(job)] == ["skipped", "running"]
    skip_next_run(job, by=admin)
    run_next_after_all(job, by=admin)
    fire_at(leader, NOON + 3 * MINUTE)
    assert rows(job)[2][1] == "running"


def test_a_manual_run_inside_asks_first(make_job: MakeJob, admin: User) -> None:
    job = made_at_noon(make_job)
    opened()
    with time_machine.travel(NOON + MINUTE, tick=False):
        with pytest.raises(Conflict, match="inside the window 'Release'"):
            trigger_now(job.pk, {}, by=admin)
        assert trigger_now(job.pk, {"force": True}, by=admin).status == Status.RUNNING


def test_owners_pause_their_jobs_and_nobody_elses(make_job: MakeJob, make_user: Any, admin: User) -> None:
    owner, other = make_user("owner"), make_user("other")
    job = made_at_noon(make_job)
    Job.objects.filter(pk=job.pk).update(created_by=owner)
    job.refresh_from_db()
    with pytest.raises(Forbidden):
        services.pause([job], None, "", by=other)
    window = services.pause([job], None, "Deploy", by=owner)
    with pytest.raises(Forbidden):
        services.end(window, by=other)
    services.end(window, by=owner)
    with pytest.raises(Conflict, match="ended already"):
        services.end(window, by=admin)


def test_explain_knows_windows_to_come(make_job: MakeJob) -> None:
    job = made_at_noon(make_job)
    opened(effect="hold", ends_at=NOON + 3 * MINUTE)
    with time_machine.travel(NOON, tick=False):
        found = explain(job, NOON + 2 * MINUTE)
    assert (found.answer, found.message) == ("window", "It will be held: window Release.")
    assert found.facts["window"]["effect"] == "hold"


def test_without_windows_firing_reads_them_once_a_chunk(
    make_job: MakeJob, leader: Leader, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        made_at_noon(make_job, name=f"job {number}")
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        fire_at(leader, NOON + MINUTE)
    assert sum("windows_window" in query["sql"] for query in queries) == 1


def held(job: Job) -> tuple[str, str]:
    """Status and reason of the job's only execution."""
    ((_minute, status, why),) = rows(job)
    return status, why


@pytest.mark.parametrize("change", [{"reason": "a typo"}, {"name": "Other"}])
def test_an_edit_of_a_recurring_window_leaves_the_start_of_what_it_holds(
    make_job: MakeJob, leader: Leader, change: dict[str, str]
) -> None:
    job = made_at_noon(make_job)
    window = opened(jobs=[str(job.pk)], effect="hold", ends_at=None, cron_expression="0 12 * * *", minutes=30)
    fire_at(leader, NOON + MINUTE)
    before = Hold.objects.get().until
    with time_machine.travel(NOON + 2 * MINUTE, tick=False):
        services.update(window.pk, change)
        assert not holds.review(timezone.now())
    assert Hold.objects.get().until == before


@pytest.mark.parametrize("change", ["deleted", "muted", "another scope", "moved away"])
def test_what_no_window_holds_any_more_starts_soon(make_job: MakeJob, leader: Leader, change: str) -> None:
    job, other = made_at_noon(make_job), make_job(name="Other", cron_expression="0 0 1 1 *")
    window = opened(jobs=[str(job.pk)], effect="hold", ends_at=None)
    fire_at(leader, NOON + MINUTE)
    now = NOON + 2 * MINUTE
    with time_machine.travel(now, tick=False):
        if change == "deleted":
            window.delete()
        else:
            body = {
                "muted": {"effect": "mute"},
                "another scope": {"jobs": [str(other.pk)]},
                "moved away": {"starts_at": NOON + HOUR, "ends_at": NOON + 2 * HOUR},
            }[change]
            services.update(window.pk, body)
        holds.review(timezone.now())
    assert now <= Hold.objects.get().until < now + 5 * MINUTE


def test_the_longest_of_two_holds_counts(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job)
    for number in range(6):
        opened(name=f"short {number}", effect="hold")
    opened(name="long", effect="hold", ends_at=NOON + 24 * HOUR)
    fire_at(leader, NOON + MINUTE)
    assert held(job) == ("queued", "held: window long")


def test_what_is_released_into_a_freeze_is_skipped(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    job = made_at_noon(make_job)
    opened(effect="hold", ends_at=NOON + 3 * MINUTE)
    opened(name="Freeze", starts_at=NOON + 3 * MINUTE, ends_at=NOON + 24 * HOUR)
    fire_at(leader, NOON + MINUTE)
    Job.objects.update(next_run_at=NOON + 48 * HOUR)
    with time_machine.travel(NOON + HOUR, tick=False):
        fire(leader)
    assert held(job) == ("skipped", "skipped: window Freeze")
    assert handed == []
    assert not Hold.objects.exists()


def test_a_job_that_was_disabled_while_it_was_held_does_not_run(
    make_job: MakeJob, leader: Leader, admin: User, handed: list[Any]
) -> None:
    job = made_at_noon(make_job)
    opened(effect="hold", ends_at=NOON + 3 * MINUTE)
    fire_at(leader, NOON + MINUTE)
    with time_machine.travel(NOON + HOUR, tick=False):
        set_active(job, False, by=admin)
        fire(leader)
    assert held(job)[0] == "skipped"
    assert handed == []


def test_one_waiting_execution_of_a_job_starts_at_a_time(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    job = made_at_noon(make_job, overlap_policy="queue_one")
    for minute in (1, 2):
        Execution.objects.create(
            job=job,
            status="queued",
            scheduled_for=NOON + minute * MINUTE,
            execution_type="webhook",
            target="https://hooks.example.com/",
        )
    Job.objects.update(next_run_at=NOON + HOUR)
    with time_machine.travel(NOON + 3 * MINUTE, tick=False):
        fire(leader)
        fire(leader)
    assert len(handed) == 1


def test_a_late_fire_time_is_inside_the_freeze_of_days_ago(make_job: MakeJob, leader: Leader) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(misfire_policy="run_all", cron_expression="0 */6 * * *")
    opened(ends_at=NOON + 24 * HOUR)
    fire_at(leader, NOON + 72 * HOUR)
    inside = [status for minute, status, _why in rows(job) if minute < 24 * 60]
    assert set(inside) == {"skipped"}
