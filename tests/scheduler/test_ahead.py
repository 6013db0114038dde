"""Planning ahead: what was drafted before the instant is what firing decides at the instant, or is not used."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from executions.delivery.carry_out import read_teams
from executions.delivery.state import Delivery
from executions.http.client import encoded
from executions.models import Execution
from executions.targets.webhook.call import Webhook
from jobs import calendars
from jobs.models import Job
from jobs.services import set_active, skip_next_run, update_job
from scheduler import drafts
from scheduler.ahead import Ahead
from scheduler.firing import fire
from scheduler.leadership import Leader
from taxonomy.models import PicTeam
from tests.support.firing import MINUTE, NOON, MakeJob, made_at_noon
from windows import services as windows

pytestmark = pytest.mark.django_db
INSTANT = NOON + MINUTE


def at(moment: dt.datetime) -> Any:
    return time_machine.travel(moment, tick=False)


def prepared(ahead: Ahead, seconds_before: float) -> None:
    with at(INSTANT - dt.timedelta(seconds=seconds_before)):
        ahead.prepare()


def planned(seconds_before: float = 3) -> Ahead:
    ahead = Ahead()
    prepared(ahead, seconds_before)
    return ahead


def fire_with(leader: Leader, ahead: Ahead | None, seconds_after: float = 0.01) -> None:
    with at(INSTANT + dt.timedelta(seconds=seconds_after)):
        fire(leader, ahead=ahead)


@pytest.fixture
def read_at_the_instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the jobs that firing reads at the instant itself."""
    names: list[str] = []

    def noted(jobs: Any) -> list[Job]:
        found = drafts.read(jobs)
        names.extend(job.name for job in found)
        return found

    monkeypatch.setattr("scheduler.firing.read", noted)
    return names


def test_a_job_that_was_planned_is_not_read_again(
    make_job: MakeJob, leader: Leader, handed: list[Delivery], read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job, metadata={"a": 1})
    fire_with(leader, planned())
    assert read_at_the_instant == []
    execution = Execution.objects.get()
    job.refresh_from_db()
    assert (execution.scheduled_for, execution.started_at) == (INSTANT, INSTANT + dt.timedelta(seconds=0.01))
    assert (job.next_run_at, job.last_execution_at) == (INSTANT + MINUTE, execution.started_at)
    webhook = handed[0].deliverable
    assert isinstance(webhook, Webhook)
    assert webhook.first
    assert handed[0].execution_id == execution.pk
    assert handed[0].worker_id == execution.worker_id
    # The bytes that were made before are those that would be made now.
    assert webhook.first.encoded == encoded(webhook.request(handed[0].call(1)))


def renamed(job: Job, by: User) -> None:
    update_job(job.pk, {"metadata": {"b": 2}}, by=by)


def limited(job: Job, by: User) -> None:
    PicTeam.objects.update(max_concurrent=3)


def window(job: Job, by: User) -> None:
    windows.create({"name": "W", "starts_at": NOON, "ends_at": NOON + 5 * MINUTE, "is_for_all": True}, by=by)


def off(job: Job, by: User) -> None:
    set_active(job, False, by=by)


def skipped(job: Job, by: User) -> None:
    skip_next_run(job, by=by)


def closed(job: Job, by: User) -> None:
    calendars.update("office", {"days": [{"date": "2026-11-24", "is_open": False}]})


@pytest.mark.parametrize("edit", [renamed, limited, window, off, skipped, closed])
@pytest.mark.usefixtures("handed")
def test_an_edit_in_the_last_second_counts(
    make_job: MakeJob,
    leader: Leader,
    admin: User,
    read_at_the_instant: list[str],
    edit: Callable[[Job, User], None],
) -> None:
    calendars.create({"name": "Office", "weekend_days": []})
    job = made_at_noon(make_job, metadata={"a": 1}, calendar="Office", on_closed_day="skip")
    ahead = planned()
    with at(INSTANT - dt.timedelta(seconds=1)):
        edit(job, admin)
    fire_with(leader, ahead)
    # What is not on its next fire time any more does not fire at all.
    assert read_at_the_instant == ([] if edit in {off, closed} else [job.name])
    ran = Execution.objects.filter(status="running").count()
    assert ran == (1 if edit in {renamed, limited} else 0)


def test_nothing_is_planned_while_edits_follow_one_another(
    make_job: MakeJob, leader: Leader, admin: User, handed: list[Delivery], read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job)
    ahead = planned(5)
    for seconds, is_edited in ((4, True), (3, True), (2, False)):
        with at(INSTANT - dt.timedelta(seconds=seconds)):
            if is_edited:
                update_job(job.pk, {"metadata": {"at": seconds}}, by=admin)
            ahead.prepare()
            if is_edited:
                assert not ahead.take([job.pk], INSTANT, read_teams())
                ahead.prepare()
    # By the draft that the `prepare` without an edit before it has made or kept.
    fire_with(leader, ahead)
    assert read_at_the_instant == []
    assert handed[0].deliverable.content.metadata == {"at": 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"overlap_policy": "skip"}, {"jitter_seconds": 10}, {"overlap_policy": "queue_one"},
        {"templated": True, "metadata": {"since": "{{ previous_success_for }}"}},
        {"github_repo": "web", "github_owner": "acme", "github_workflow_name": "e2e.yml"},
    ],
)  # fmt: skip
@pytest.mark.usefixtures("handed")
def test_what_more_than_edits_decides_is_decided_at_the_instant(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], changes: dict[str, Any]
) -> None:
    job = made_at_noon(make_job, **changes)
    fire_with(leader, planned())
    assert read_at_the_instant == [job.name]
    assert Execution.objects.get().status == "running"


@pytest.mark.usefixtures("handed")
def test_a_fire_time_that_is_fired_late_is_decided_then(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job, misfire_policy="skip", misfire_grace_seconds=30)
    fire_with(leader, planned(), seconds_after=45)
    assert read_at_the_instant == [job.name]
    assert Execution.objects.get().status == "missed"


@pytest.mark.usefixtures("handed")
def test_drafts_are_used_once_and_those_of_the_past_are_dropped(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job)
    ahead = planned()
    fire_with(leader, ahead)
    Job.objects.filter(pk=job.pk).update(next_run_at=INSTANT)
    fire_with(leader, ahead)
    assert read_at_the_instant == [job.name]
    # The constraint lets no fire time run twice.
    assert Execution.objects.count() == 1


@pytest.mark.usefixtures("handed")
def test_a_draft_counts_for_a_minute(make_job: MakeJob, leader: Leader, read_at_the_instant: list[str]) -> None:
    for name in ("within", "after", "never"):
        made_at_noon(make_job, name=name, cron_expression="1 12 * * *", misfire_policy="run_all")
    ahead = planned()
    Job.objects.exclude(name="within").update(next_run_at=INSTANT + dt.timedelta(hours=1))
    fire_with(leader, ahead, seconds_after=59)
    Job.objects.filter(name="after").update(next_run_at=INSTANT)
    fire_with(leader, ahead, seconds_after=61)
    assert (read_at_the_instant, Execution.objects.count()) == (["after"], 2)
    prepared(ahead, -61)
    assert ahead._drafts.by_job == {}


@pytest.mark.usefixtures("handed")
def test_what_was_taken_while_drafts_were_copied_keeps_no_place(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job)
    ahead = planned()
    copied = dict(ahead._drafts.by_job)
    fire_with(leader, ahead)
    ahead._drafts.by_job.update(copied)
    prepared(ahead, -51)
    fire_with(leader, ahead, seconds_after=60)
    assert (read_at_the_instant, Execution.objects.filter(job=job).count()) == ([], 2)


@pytest.mark.usefixtures("handed")
def test_drafts_take_so_many_bytes(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        made_at_noon(make_job, name=name, metadata={"a": "x" * 2000})
    monkeypatch.setattr("scheduler.ahead._STEP", 1)
    monkeypatch.setattr("scheduler.ahead._MOST_BYTES", 3000)
    ahead = planned(5)
    prepared(ahead, 4)
    fire_with(leader, ahead)
    assert (len(read_at_the_instant), Execution.objects.count()) == (1, 3)


@pytest.mark.usefixtures("handed")
def test_drafts_that_an_edit_voids_are_not_made(
    make_job: MakeJob, leader: Leader, admin: User, read_at_the_instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [made_at_noon(make_job, name=name) for name in ("one", "two", "three")]
    read = list[str]()

    def edited(found: Any) -> list[Job]:
        read.extend(job.name for job in found)
        update_job(jobs[0].pk, {"name": f"edited {len(read)}"}, by=admin)
        return drafts.read(found)

    monkeypatch.setattr("scheduler.ahead._STEP", 1)
    with monkeypatch.context() as patched:
        patched.setattr("scheduler.ahead.read", edited)
        ahead = planned(9)
    assert len(read) == 1
    prepared(ahead, 8)
    prepared(ahead, 7)
    fire_with(leader, ahead)
    assert (read_at_the_instant, Execution.objects.count()) == ([], 3)


def test_what_has_a_draft_is_not_looked_up_again(make_job: MakeJob, django_assert_num_queries: Any) -> None:
    made_at_noon(make_job)
    ahead = planned(9)
    # The revision, the teams, and the fire times that have come near since.
    with django_assert_num_queries(3) as asked:
        prepared(ahead, 8)
    assert "next_run_at\" > '2026-11-24 03:01:01" in asked.captured_queries[-1]["sql"]


@pytest.mark.usefixtures("handed")
def test_a_job_that_is_fired_late_and_comes_again_at_once_is_drafted(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str]
) -> None:
    job = made_at_noon(make_job, misfire_policy="run_once")
    Job.objects.update(next_run_at=NOON)
    ahead = planned(9)
    fire_with(leader, ahead, seconds_after=-8)
    assert read_at_the_instant.pop() == job.name
    prepared(ahead, 5)
    fire_with(leader, ahead)
    assert read_at_the_instant == []
    assert Execution.objects.count() == 2


@pytest.mark.usefixtures("handed")
def test_after_an_error_the_rest_is_drafted(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_noon(make_job)
    ahead = Ahead()

    def broken(jobs: Any) -> list[Job]:
        raise OperationalError("the connection broke")

    with monkeypatch.context() as patched:
        patched.setattr("scheduler.ahead.read", broken)
        with pytest.raises(OperationalError):
            prepared(ahead, 9)
    prepared(ahead, 8)
    fire_with(leader, ahead)
    assert (read_at_the_instant, Execution.objects.count()) == ([], 1)


@pytest.mark.usefixtures("handed")
def test_what_is_too_near_holds_up_nothing_that_is_due_later(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _near, first, second = [made_at_noon(make_job, name=name) for name in ("near", "first", "second")]
    in_five_seconds = INSTANT + dt.timedelta(seconds=5)
    Job.objects.filter(pk__in=[first.pk, second.pk]).update(next_run_at=in_five_seconds)
    monkeypatch.setattr("scheduler.ahead._STEP", 2)
    ahead = Ahead()
    with time_machine.travel(INSTANT - dt.timedelta(seconds=0.35), tick=False) as clock:

        def slow(jobs: Any) -> list[Job]:
            clock.shift(0.1)
            return drafts.read(jobs)

        monkeypatch.setattr("scheduler.ahead.read", slow)
        ahead.prepare()
    prepared(ahead, -2)
    fire_with(leader, ahead, seconds_after=5.01)
    assert read_at_the_instant == []


@pytest.mark.usefixtures("handed")
def test_jobs_for_which_there_was_no_room_are_drafted_when_there_is(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.ahead._MOST", 2)
    for number in range(2):
        made_at_noon(make_job, name=f"job {number}")
    later = made_at_noon(make_job, name="later")
    Job.objects.filter(pk=later.pk).update(next_run_at=INSTANT + dt.timedelta(seconds=4))
    ahead = planned(5)
    prepared(ahead, 4)
    fire_with(leader, ahead)
    prepared(ahead, -1)
    fire_with(leader, ahead, seconds_after=4.1)
    assert (read_at_the_instant, Execution.objects.count()) == ([], 3)


def test_after_the_clock_was_set_back_it_drafts_again(
    make_job: MakeJob, leader: Leader, read_at_the_instant: list[str], handed: list[Delivery]
) -> None:
    made_at_noon(make_job)
    ahead = Ahead()
    prepared(ahead, -3600)
    prepared(ahead, 5)
    fire_with(leader, ahead)
    assert (read_at_the_instant, len(handed)) == ([], 1)


def test_connections_are_opened_once_shortly_before(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, path in enumerate(["a", "b"]):
        made_at_noon(make_job, name=path, target_url=f"https://hooks.example.com/{path}")
        made_at_noon(make_job, name=f"to {path}", target_url=f"http://{path}.example.com:{8000 + number}/")
    made_at_noon(make_job, name="later", target_url="https://later.example.com/", jitter_seconds=30)
    opened: list[dict[tuple[bool, str, int], int]] = []

    def note(wanted: dict[Any, int]) -> None:
        opened.append({(one.tls, one.host, one.port): count for one, count in wanted.items()})

    monkeypatch.setattr("scheduler.ahead.backends.open_ahead", note)
    with at(NOON):
        ahead = Ahead()
    for seconds in (5, 4, 3, 2, 1):
        prepared(ahead, seconds)
    calls = {(True, "hooks.example.com", 443): 2, (False, "a.example.com", 8000): 1, (False, "b.example.com", 8001): 1}
    assert opened == [calls]


JOBS = st.fixed_dictionaries(
    {},
    optional={
        "cron_expression": st.sampled_from(["* * * * *", "1 12 * * *", "*/2 * * * *"]),
        "misfire_policy": st.sampled_from(["skip", "run_once", "run_all"]),
        "misfire_grace_seconds": st.sampled_from([1, 30, 300]),
        "overlap_policy": st.sampled_from(["allow", "allow", "skip", "queue_one"]),
        "jitter_seconds": st.sampled_from([0, 0, 20]),
        "metadata": st.sampled_from([{}, {"at": "{{ scheduled_for }}"}, {"a": [1, "x"]}]),
        "templated": st.booleans(),
        "headers": st.sampled_from([{}, {"X-A": "1"}]),
        "end_date": st.sampled_from(["2026-11-24", "2099-12-31"]),
        "max_attempts": st.integers(1, 3),
    },
)


def what_fired(leader: Leader, ahead: Ahead | None, seconds_after: float, handed: list[Delivery]) -> list[Any]:
    """Everything that firing wrote and handed over, without the random ids. Nothing of it stays."""
    found: list[Any] = []
    with transaction.atomic():
        fire_with(leader, ahead, seconds_after)
        rows = Execution.objects.order_by("job__name", "scheduled_for")
        ids = {row.pk: number for number, row in enumerate(rows)}
        found += [
            (row.job.name, row.status, row.scheduled_for, row.started_at, row.target, row.error_message, row.overrides)
            for row in rows
        ]
        found += list(Job.objects.order_by("name").values_list("next_run_at", "last_execution_at", "last_status"))
        sent = []
        for one in handed:
            webhook = one.deliverable
            assert isinstance(webhook, Webhook)
            request = webhook.first or webhook.request(one.call(1))
            sent.append(
                (
                    ids[one.execution_id],
                    one._replace(execution_id=uuid.UUID(int=0), deliverable=webhook._replace(first=None)),
                    (request.encoded or encoded(request)).message.replace(str(one.execution_id).encode(), b""),
                )
            )
        found += sorted(sent, key=lambda one: one[0])
        transaction.set_rollback(True)
    handed.clear()
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jobs=st.lists(JOBS, min_size=1, max_size=4),
    before=st.floats(0, 12),
    after=st.sampled_from([0, 0.5, 4, 31, 59.9, 60, 70, 130]),
)
def test_the_plain_way_decides_the_same(
    make_job: MakeJob, leader: Leader, handed: list[Delivery], jobs: list[dict[str, Any]], before: float, after: float
) -> None:
    with transaction.atomic():
        for number, changes in enumerate(jobs):
            with at(NOON):
                make_job(**{"cron_expression": "* * * * *", **changes, "name": f"job {number}"})
        ahead = planned(before)
        assert what_fired(leader, None, after, handed) == what_fired(leader, ahead, after, handed)
        transaction.set_rollback(True)
