"""Dispatches wait for the budget of their credential: all leave, none twice, and each says why it was late."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import User
from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions import budgets
from executions.delivery import engine
from executions.delivery.carry_out import carry_out, read_teams
from executions.models import BudgetWait, Execution, FireLagBucket, Status
from executions.services import trigger_now
from executions.targets.github import api as github_api
from jobs.models import Job
from settings_app import credential_rights
from settings_app.models import GitHubCredential
from taxonomy.models import PicTeam
from tests.support.certificates import private_key
from tests.support.clock import PassingTime, passing_time
from tests.support.executions import ended, left
from tests.support.target import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
NINE = dt.datetime(2026, 11, 26, 0, 0, tzinfo=dt.UTC)  # 09:00 JST


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[PassingTime]:
    with passing_time(NINE) as clock:
        monkeypatch.setattr(engine, "new_clock", lambda: clock)
        yield clock
        engine.shutdown_local_engine(0)


@pytest.fixture
def github(settings: Any, clock: PassingTime) -> Iterator[GitHub]:
    with GitHub(now=clock.now) as server:
        settings.GITHUB_API_URL = server.url
        yield server


@pytest.fixture
def credential(db: None) -> GitHubCredential:
    return GitHubCredential.objects.create(name="qa-app", token=encrypt("ghp_x"), per_minute=100)


@pytest.fixture
def job(make_job: Callable[..., Job], credential: GitHubCredential) -> Job:
    return make_job(target_url="acme/shop/success-0.yml", github_credential=credential.name, wait_for_run=False)


def due(job: Job, count: int, **fields: Any) -> list[Execution]:
    """Executions of one fire time, on their way."""
    values = {"execution_type": "github_actions", "target": str(job.target), "started_at": NINE}
    return [
        left(job, engine.worker_id(), scheduled_for=NINE + dt.timedelta(microseconds=number), **values, **fields)
        for number in range(count)
    ]


def allow(**budget: int) -> None:
    GitHubCredential.objects.update(**budget)
    credential_rights.forget()


def open_count() -> int:
    return Execution.objects.filter(status=Status.RUNNING).count()


@pytest.mark.parametrize("status", [403, 429])
def test_150_of_one_fire_time_leave_within_minutes_though_github_allows_80(
    job: Job, github: GitHub, clock: PassingTime, status: int
) -> None:
    github.limits.dispatches_per_minute, github.limits.status = 80, status
    executions = due(job, 150)
    carry_out(executions, read_teams())
    # The clock stands still until the first minute's dispatches are used up, however busy the machine is.
    wait_until(lambda: github.limits.refused)
    clock.advance_until(lambda: not open_count(), most=900)
    assert Execution.objects.filter(status=Status.SUCCESS).count() == 150
    # None was dispatched twice.
    assert len(github.runs) == 150
    assert github.limits.highest_at_once <= 50
    # Refusals are no attempts, and those that were late say why; 50 of them waited for the first 50 to end.
    late = list(BudgetWait.objects.filter(seconds__gt=5).values_list("credential", "seconds"))
    assert {name for name, _ in late} == {"qa-app"}
    assert 60 <= len(late) <= 90
    assert {0 < (seconds or 0) <= 600 for _, seconds in late} == {True}
    # It is no lag of the scheduler, but for the few that a busy machine was working on while this clock went on.
    lags = FireLagBucket.objects.filter(bound__gt=60)
    assert sum(lags.values_list("count", flat=True)) < 15


def test_an_app_has_one_budget_whatever_tokens_it_gets(
    make_job: Callable[..., Job], github: GitHub, clock: PassingTime
) -> None:
    app = GitHubCredential.objects.create(
        name="app", kind="app", app_id="7", installation_id="9", private_key=private_key(), per_minute=10
    )
    job = make_job(target_url="acme/shop/success-0.yml", github_credential="app", wait_for_run=False)
    carry_out(due(job, 25), read_teams())
    wait_until(lambda: len(github.runs) == 10)
    github_api.forget(app.pk)
    clock.advance_until(lambda: not open_count(), most=300)
    assert Execution.objects.filter(status=Status.SUCCESS).count() == 25
    minted = [path for _, path, _ in github.calls if path.startswith("/app/")]
    assert len(minted) >= 2
    left_at = sorted(run.created for run in github.runs.values())
    # The clock stood still while the first ten left; what left later may have arrived some seconds after its grant.
    assert left_at[9] == left_at[0]
    assert left_at[10] - left_at[9] > 60
    assert left_at[20] - left_at[0] > 120


def test_a_raised_budget_counts_within_ten_seconds_for_what_waits(job: Job, github: GitHub, clock: PassingTime) -> None:
    allow(per_minute=2)
    carry_out(due(job, 6), read_teams())
    wait_until(lambda: open_count() == 4)
    assert clock.next_timer() == 10
    allow(per_minute=100)
    clock.advance(10)
    wait_until(lambda: not open_count())
    assert len(github.runs) == 6


def test_a_refusal_stops_the_whole_credential_and_no_other(
    job: Job, make_job: Callable[..., Job], github: GitHub, clock: PassingTime
) -> None:
    other = GitHubCredential.objects.create(name="other", token=encrypt("ghp_y"))
    beside = make_job(name="Beside", target_url="acme/docs/success-0.yml", github_credential=other.name,
                      wait_for_run=False)  # fmt: skip
    github.fail_next = [(403, {"Retry-After": "40"})]
    (refused,) = due(job, 1)
    carry_out([refused], read_teams())
    wait_until(lambda: Execution.objects.get(pk=refused.pk).attempts)
    assert clock.next_timer() == pytest.approx(40, abs=1)
    (second,) = [left(job, engine.worker_id(), execution_type="github_actions", target=str(job.target))]
    third = left(beside, engine.worker_id(), execution_type="github_actions", target=str(beside.target))
    carry_out([second, third], read_teams())
    assert ended(third).status == Status.SUCCESS
    assert open_count() == 2
    clock.advance_until(lambda: not open_count(), most=60)
    first = Execution.objects.get(pk=refused.pk)
    assert (first.status, [one["status"] for one in first.attempts]) == (Status.SUCCESS, [403, 204])


def test_the_priority_decides_who_leaves_first(job: Job, credential: GitHubCredential, github: GitHub,
                                               make_job: Callable[..., Job], clock: PassingTime) -> None:  # fmt: skip
    allow(per_minute=1)
    urgent = make_job(name="Urgent", target_url="acme/urgent/success-0.yml", github_credential=credential.name,
                      wait_for_run=False, priority=1)  # fmt: skip
    github.fail_next = [(403, {"Retry-After": "5"})]
    carry_out(due(job, 3), read_teams())
    wait_until(lambda: github.calls)
    (first,) = due(urgent, 1)
    carry_out([first], read_teams())
    clock.advance_until(lambda: not open_count(), most=600)
    assert [run.repository for run in github.runs.values()] == ["acme/urgent", *["acme/shop"] * 3]


def test_the_priority_decides_also_among_those_that_wait_for_others_to_end(
    job: Job, credential: GitHubCredential, github: GitHub, make_job: Callable[..., Job], clock: PassingTime
) -> None:
    allow(at_once=2)
    urgent = make_job(name="Urgent", target_url="acme/urgent/success-0.yml", github_credential=credential.name,
                      wait_for_run=False, priority=1)  # fmt: skip
    answer, go_on, order = github.answer, threading.Event(), list[str]()

    def answer_late(handler: Any, *rest: Any) -> Any:
        go_on.wait(10)
        order.append(handler)
        return answer(handler, *rest)

    github.answer = answer_late  # type: ignore[method-assign]
    executions = due(job, 6)
    carry_out(executions, read_teams())
    wait_until(lambda: BudgetWait.objects.count() == 4)
    (first,) = due(urgent, 1)
    carry_out([first], read_teams())
    wait_until(lambda: BudgetWait.objects.filter(pk=first.pk).exists())
    go_on.set()
    wait_until(lambda: not open_count())
    assert github.limits.highest_at_once <= 2
    # It leaves with one other when the first two have ended, and asks for its branch before it dispatches.
    assert [run.repository for run in github.runs.values()].index("acme/urgent") <= 3
    assert BudgetWait.objects.filter(seconds=None).count() == 0


def test_what_is_cancelled_while_the_budget_is_asked_takes_no_place(
    job: Job, github: GitHub, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(at_once=1)
    take, asked, go_on = budgets.take, threading.Event(), threading.Event()

    def take_slowly(*arguments: Any) -> Any:
        found = take(*arguments)
        asked.set()
        go_on.wait(10)
        return found

    monkeypatch.setattr(budgets, "take", take_slowly)
    first, second = due(job, 2)
    carry_out([first], read_teams())
    asked.wait(10)
    engine.local_engine().cancel([first.pk])
    engine.local_engine().run_in_loop(lambda: None)
    Execution.objects.filter(pk=first.pk).update(status=Status.CANCELLED)
    go_on.set()
    carry_out([second], read_teams())
    assert ended(second).status == Status.SUCCESS
    assert len(github.runs) == 1


def test_what_waits_for_its_team_keeps_no_other_team_waiting(
    job: Job, credential: GitHubCredential, github: GitHub, make_job: Callable[..., Job], clock: PassingTime
) -> None:
    allow(at_once=3)
    crowded = PicTeam.objects.create(name="Crowded", slug="crowded", slack_handle="@c", max_concurrent=1)
    theirs = make_job(name="Theirs", target_url="acme/theirs/success-0.yml", github_credential=credential.name,
                      wait_for_run=False, pic_team="crowded", priority=1)  # fmt: skip
    answer, go_on = github.answer, threading.Event()

    def answer_late(method: str, path: str, *rest: Any) -> Any:
        if "/theirs/" in path:
            go_on.wait(10)
        return answer(method, path, *rest)

    github.answer = answer_late  # type: ignore[method-assign]
    carry_out(due(theirs, 5), read_teams())
    wait_until(lambda: github.limits.under_way == 1)
    carry_out(due(job, 4), read_teams())
    wait_until(lambda: len(github.runs) == 4)
    go_on.set()
    wait_until(lambda: not open_count())
    assert (len(github.runs), crowded.max_concurrent) == (9, 1)


def test_a_wait_beyond_the_limit_fails_with_the_reason(job: Job, github: GitHub, clock: PassingTime) -> None:
    allow(hold_limit_seconds=120)
    github.fail_next = [(429, {"Retry-After": "3000"})]
    (execution,) = due(job, 1)
    carry_out([execution], read_teams())
    clock.advance_until(lambda: not open_count(), most=200)
    done = Execution.objects.get(pk=execution.pk)
    assert (done.status, done.error_message) == (
        Status.FAILED,
        "not dispatched: GitHub refused qa-app for a rate limit for 120 s",
    )
    assert github.runs == {}


def test_what_waits_is_made_by_the_next_process(job: Job, github: GitHub, clock: PassingTime) -> None:
    github.fail_next = [(403, {"Retry-After": "30"})]
    (execution,) = due(job, 1)
    carry_out([execution], read_teams())
    wait_until(lambda: BudgetWait.objects.exists())
    (kept,) = engine.shutdown_local_engine(0)
    assert kept.execution_id == execution.pk
    Execution.objects.update(worker_id=engine.worker_id())
    # However late it is by its start deadline, it is the budget that decides.
    clock.advance(100)
    carry_out(list(Execution.objects.all()), read_teams())
    assert ended(execution).status == Status.SUCCESS
    assert len(github.runs) == 1


def test_a_cancelled_execution_takes_no_place(job: Job, github: GitHub, clock: PassingTime) -> None:
    github.fail_next = [(403, {"Retry-After": "30"})]
    executions = due(job, 2)
    carry_out(executions[:1], read_teams())
    wait_until(lambda: Execution.objects.get(pk=executions[0].pk).attempts)
    carry_out(executions[1:], read_teams())
    engine.local_engine().cancel([executions[1].pk])
    Execution.objects.filter(pk=executions[1].pk).update(status=Status.CANCELLED)
    clock.advance_until(lambda: not open_count(), most=60)
    assert len(github.runs) == 1


def test_a_wait_for_the_budget_is_no_miss(
    make_job: Callable[..., Job], credential: GitHubCredential, github: GitHub, clock: PassingTime, settings: Any
) -> None:
    job = make_job(target_url="acme/shop/success-0.yml", github_credential=credential.name, wait_for_run=False,
                   misfire_policy="skip", misfire_grace_seconds=60)  # fmt: skip
    github.fail_next = [(403, {"Retry-After": "300"})]
    (execution,) = due(job, 1)
    execution.job.refresh_from_db()
    carry_out([execution], read_teams())
    clock.advance_until(lambda: not open_count(), most=400)
    assert Execution.objects.get(pk=execution.pk).status == Status.SUCCESS


def test_a_late_retry_waits_for_no_budget(
    make_job: Callable[..., Job], credential: GitHubCredential, github: GitHub, clock: PassingTime, settings: Any
) -> None:
    job = make_job(target_url="acme/shop/success-0.yml", github_credential=credential.name, wait_for_run=False,
                   max_attempts=2, retry_backoff_seconds=1800, retry_deadline_seconds=86_400)  # fmt: skip
    settings.GITHUB_API_URL = "http://127.0.0.1:9"
    (execution,) = due(job, 1)
    carry_out([execution], read_teams())
    wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts)
    settings.GITHUB_API_URL = github.url
    clock.advance_until(lambda: not open_count(), step=60, most=5000)
    assert Execution.objects.get(pk=execution.pk).status == Status.SUCCESS
    assert (len(github.runs), BudgetWait.objects.exists()) == (1, False)


def test_a_pause_holds_at_once_and_what_comes_later_is_stored(
    job: Job, github: GitHub, clock: PassingTime, credential: GitHubCredential
) -> None:
    allow(per_minute=1)
    carry_out(due(job, 2), read_teams())
    wait_until(lambda: len(github.runs) == 1)
    github.fail_next = [(403, {"Retry-After": "600"})]
    clock.advance(62)
    wait_until(lambda: budgets.blocked_until([credential.pk]))
    late = left(job, engine.worker_id(), execution_type="github_actions", target=str(job.target))
    carry_out([late], read_teams())
    wait_until(lambda: BudgetWait.objects.filter(pk=late.pk).exists())


def test_a_runs_own_token_heeds_retry_after(job: Job, github: GitHub, clock: PassingTime, admin: User) -> None:
    Job.objects.update(max_attempts=2, retry_backoff_seconds=1)
    github.fail_next = [(429, {"Retry-After": "45"})]
    execution = trigger_now(job.pk, {"github_token": "ghp_own"}, by=admin)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts)
    assert clock.next_timer() == pytest.approx(45, abs=1)
    clock.advance(46)
    assert ended(execution).status == Status.SUCCESS


def test_what_the_budget_allows_leaves_at_once_though_it_comes_one_by_one(
    job: Job, github: GitHub, clock: PassingTime
) -> None:
    for number in range(6):
        one = left(job, engine.worker_id(), execution_type="github_actions", target=str(job.target))
        carry_out([one], read_teams())
        wait_until(lambda number=number: len(github.runs) == number + 1)
    assert not BudgetWait.objects.exists()


def test_no_wait_at_all_is_a_limit_too(job: Job, github: GitHub, clock: PassingTime) -> None:
    allow(hold_limit_seconds=0)
    carry_out(due(job, 2), read_teams())
    wait_until(lambda: not open_count())
    assert len(github.runs) == 2


def test_a_higher_budget_counts_for_what_waits(job: Job, github: GitHub, clock: PassingTime) -> None:
    allow(per_minute=1)
    carry_out(due(job, 4), read_teams())
    wait_until(lambda: len(github.runs) == 1)
    allow(per_minute=100)
    clock.advance_until(lambda: not open_count(), most=70)
    assert len(github.runs) == 4


def test_an_unexpected_error_lets_nothing_wait_for_ever(
    job: Job, github: GitHub, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, failures = budgets.take, [1, 2]

    def fail_first(*arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise RuntimeError("unforeseen")
        return take(*arguments)

    monkeypatch.setattr(budgets, "take", fail_first)
    carry_out(due(job, 2), read_teams())
    clock.advance_until(lambda: not open_count(), most=20)
    assert len(github.runs) == 2


def test_a_refusal_that_comes_while_the_budget_is_asked_holds_at_once(
    job: Job, github: GitHub, clock: PassingTime, credential: GitHubCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, asked, go_on = budgets.take, threading.Event(), threading.Event()
    allow(per_minute=1)
    github.fail_next = [(403, {"Retry-After": "600"})]
    answer = github.answer

    def answer_late(*arguments: Any) -> Any:
        asked.wait(5)
        return answer(*arguments)

    def take_slowly(budget: Any, ready: Any, *rest: Any) -> Any:
        if len(ready) == 1 and not asked.is_set() and github.calls == [] and slow:
            asked.set()
            go_on.wait(5)
        return take(budget, ready, *rest)

    slow: list[int] = []
    github.answer = answer_late  # type: ignore[method-assign]
    monkeypatch.setattr(budgets, "take", take_slowly)
    first, second = due(job, 2)
    carry_out([first], read_teams())
    wait_until(lambda: engine.local_engine().phases().get("calling"))
    slow.append(1)
    carry_out([second], read_teams())
    wait_until(lambda: Execution.objects.get(pk=first.pk).attempts)
    go_on.set()
    wait_until(lambda: budgets.blocked_until([credential.pk]))
