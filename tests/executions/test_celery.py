"""What the scheduler and Celery workers agree on: who claims what, what is sent again, how limits are shared."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import User
from executions import engine, queueing, recovery, services, shares, tasks
from executions.engine import Engine
from executions.gate import Key
from executions.models import Execution, SharedLimit, Slots, Status, Worker
from executions.recorder import Recorder
from executions.services import trigger_now
from jobs.models import Job
from tests.target import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(settings: Any, monkeypatch: Any) -> dict[uuid.UUID, str]:
    """The executions that were sent to workers, with their kinds."""
    settings.EXECUTION_BACKEND = "celery"
    kinds: dict[uuid.UUID, str] = {}
    monkeypatch.setattr(queueing, "send", kinds.update)
    monkeypatch.setattr(queueing, "waiting_messages", lambda: 0)
    return kinds


def left(job: Job, worker: uuid.UUID | None = None, **fields: Any) -> Execution:
    values = {
        "status": Status.RUNNING,
        "trigger_type": "scheduled",
        "execution_type": "webhook",
        "target": "http://127.0.0.1:1/",
    }
    return Execution.objects.create(job=job, worker_id=worker, **{**values, **fields})


def test_a_run_is_sent_and_belongs_to_nobody_yet(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], admin: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        execution = trigger_now(make_job().pk, {}, by=admin)
    assert sent == {execution.pk: "webhook"}
    assert Execution.objects.get().worker_id is None


def test_a_run_with_its_own_token_stays_with_the_process_that_has_it(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], admin: User, monkeypatch: Any
) -> None:
    me = uuid.uuid4()
    monkeypatch.setattr(engine, "worker_id", lambda: me)
    job = make_job(github_owner="acme", github_repo="shop", github_workflow_name="x.yml")
    execution = trigger_now(job.pk, {"github_token": "ghp_secret"}, by=admin)
    assert execution.worker_id == me
    assert sent == {}
    assert "ghp_secret" not in str(Execution.objects.values().get())


def test_a_message_that_comes_twice_claims_once(make_job: Callable[..., Job]) -> None:
    mine, other = uuid.uuid4(), uuid.uuid4()
    job = make_job()
    free, taken, over, followed = (
        left(job), left(job, other), left(job, status=Status.SUCCESS), left(job, run_id=5)
    )  # fmt: skip
    ids = [free.pk, taken.pk, over.pk, followed.pk, uuid.uuid4()]
    assert queueing.claim(ids, mine) == [free.pk]
    assert queueing.claim(ids, mine) == []
    assert queueing.claim(ids, other) == []
    assert Execution.objects.get(pk=free.pk).worker_id == mine


@pytest.mark.parametrize(
    "arguments", [(), (1,), (2, []), (1, "x"), (1, ["no id"]), (1, [5]), (1, None), (1, [], "more"), ("1", [])]
)
def test_a_message_of_another_version_is_dropped(arguments: tuple[Any, ...]) -> None:
    assert tasks.carry_out(*arguments) == 0


def test_what_a_dead_worker_held_is_released_or_ended(sent: dict[uuid.UUID, str], make_job: Callable[..., Job]) -> None:
    gone, alive = uuid.uuid4(), Worker.objects.create(host="elsewhere", pid=1)
    job = make_job()
    hook, dispatch = left(job, gone), left(job, gone, execution_type="github_actions", target="acme/shop/x.yml")
    worn, held = left(job, gone, takeovers=recovery.MOST_TAKEOVERS), left(job, alive.pk)
    new = left(job)
    assert recovery.recover() == 3
    assert sent == {hook.pk: "webhook"}
    hook.refresh_from_db()
    assert (hook.status, hook.worker_id, hook.takeovers) == (Status.RUNNING, None, 1)
    assert {Execution.objects.get(pk=one.pk).status for one in (dispatch, worn)} == {Status.FAILED}
    assert {Execution.objects.get(pk=one.pk).takeovers for one in (held, new)} == {0}


def test_what_nobody_claims_is_sent_again_ever_less_often(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], monkeypatch: Any
) -> None:
    execution = left(make_job())
    unclaimed, now, clock = queueing.Unclaimed(), timezone.now(), [1000.0]
    monkeypatch.setattr(queueing.time, "monotonic", lambda: clock[0])
    sent_at = []
    for second in range(40):
        clock[0] += 1
        with time_machine.travel(now + dt.timedelta(seconds=second), tick=False):
            if unclaimed.look():
                sent_at.append(second)
    assert sent_at == [2, 4, 8, 16, 32]
    Execution.objects.filter(pk=execution.pk).update(worker_id=uuid.uuid4())
    assert unclaimed.look() == 0


def test_workers_that_are_busy_are_given_time(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], monkeypatch: Any
) -> None:
    left(make_job())
    now = timezone.now()
    monkeypatch.setattr(queueing, "waiting_messages", lambda: 12)
    for seconds, count in [(20, 0), (31, 1)]:
        with time_machine.travel(now + dt.timedelta(seconds=seconds), tick=False):
            assert queueing.Unclaimed().look() == count
    monkeypatch.setattr(queueing, "waiting_messages", lambda: None)
    with time_machine.travel(now + dt.timedelta(hours=1), tick=False):
        assert queueing.Unclaimed().look() == 0


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 9)), max_size=25),
)
def test_shared_limits_are_never_exceeded_and_nobody_starves(
    db: None, limit: int, steps: list[tuple[int, int, int]]
) -> None:
    Worker.objects.all().delete()
    SharedLimit.objects.all().delete()
    workers = [Worker.objects.create(host="h", pid=number).pk for number in range(3)]
    inside, allowed, served = [0, 0, 0], [0, 0, 0], [0, 0, 0]

    def step(who: int, want: int, ends: int) -> None:
        """Some calls end; the worker looks; as many as are allowed and wanted begin."""
        inside[who] -= min(inside[who], ends)
        need = shares.Need(max(want, inside[who]), limit, inside[who])
        allowed[who] = shares.divide(workers[who], {"host x": need})["host x"]
        begins = max(0, min(need.demand, allowed[who]) - inside[who])
        inside[who] += begins
        served[who] += begins
        assert sum(inside) <= limit
        # What ends makes room at once, without another look.
        if inside[who] and allowed[who] >= inside[who] and want > inside[who]:
            served[who] += 1

    for who, want, ends in steps:
        step(who, want, ends)
    served[:] = [0, 0, 0]
    for _ in range(12):
        for who in range(3):
            step(who, 50, inside[who])
    assert min(served) > 0
    if limit >= 3:
        assert sum(inside) == limit


def test_a_worker_that_is_gone_leaves_its_slots(db: None) -> None:
    one, two = (Worker.objects.create(host="h", pid=number).pk for number in range(2))
    five = {"team t": shares.Need(5, 5, 0)}
    assert shares.divide(one, five) == {"team t": 5}
    assert shares.divide(two, five) == {"team t": 0}
    Worker.objects.filter(pk=one).delete()
    assert shares.divide(two, five) == {"team t": 5}
    shares.divide(two, {"team t": shares.Need(0, 5, 0)})
    shares.forget_unused()
    assert not Slots.objects.exists()
    assert not SharedLimit.objects.exists()


def test_a_limit_of_one_holds_between_two_engines_and_both_get_their_turn(
    settings: Any, transactional_db: None
) -> None:
    settings.EXECUTION_BACKEND = "celery"
    key, lock, log, most = Key("team serial", 1), threading.Lock(), [], [0]
    engines = [Engine(Recorder()) for _ in range(2)]
    under_way: list[int] = []

    def enter(number: int, gate: Any, loop: Any) -> None:
        def begin() -> None:
            with lock:
                under_way.append(number)
                most[0] = max(most[0], len(under_way))
            loop.call_later(0.1, end)

        def end() -> None:
            with lock:
                under_way.remove(number)
                log.append(number)
            gate.leave((key,))

        gate.enter((key,), begin)

    for one in engines:
        one.start()
    try:
        for _ in range(8):
            for number, one in enumerate(engines):
                one._loop.call_soon_threadsafe(enter, number, one._gate, one._loop)
        wait_until(lambda: len(log) == 16, 30)
    finally:
        for one in engines:
            one.shutdown(0)
    assert most == [1]
    # Neither had to wait until the other had nothing left to do.
    assert set(log[:8]) == {0, 1}


def test_the_local_back_end_owns_what_it_fires(monkeypatch: Any) -> None:
    me = uuid.uuid4()
    monkeypatch.setattr(engine, "worker_id", lambda: me)
    assert services.owner() == me
