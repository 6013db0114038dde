"""Whatever is done to jobs, and whatever happens to schedulers, the executions are those of a simple model."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import create_job, remove_jobs, set_active, update_job
from scheduler.firing import fire
from scheduler.leadership import Leader, NotLeading
from taxonomy.models import Category, PicTeam
from tests.support import brute_force

START = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
EXPRESSIONS = st.sampled_from(["* * * * *", "*/2 * * * *", "*/5 * * * *", "3-50/7 * * * *", "0 * * * *", "30 12 * * *"])


@dataclass
class Model:
    """One job as anybody would describe it: from its next fire time on, the latest due one runs, those before it are
    missed.
    """

    expression: str
    active: bool
    next: dt.datetime | None = None
    ran: set[dt.datetime] = field(default_factory=set)
    missed: set[dt.datetime] = field(default_factory=set)

    def follow(self, after: dt.datetime) -> dt.datetime:
        wall = after.astimezone(dt.timezone(dt.timedelta(hours=9))).replace(tzinfo=None)
        found = brute_force.upcoming(self.expression, wall, 1, 3)[0]
        return (found - dt.timedelta(hours=9)).replace(tzinfo=dt.UTC)

    def reschedule(self, now: dt.datetime) -> None:
        due = self.next is not None and self.next <= now
        if not self.active:
            self.next = None
        elif not due:
            self.next = self.follow(now)

    def fire(self, now: dt.datetime) -> None:
        if self.next is None or self.next > now:
            return
        moments = [self.next]
        while (following := self.follow(moments[-1])) <= now:
            moments.append(following)
        self.ran.add(moments[-1])
        self.missed |= set(moments[:-1])
        self.next = self.follow(max(now, moments[-1]))


class Schedulers(RuleBasedStateMachine):
    """Jobs are created, edited, paused, resumed and deleted; schedulers fire, are away, fail over; the clock goes on
    or back.
    """

    @initialize()
    def begin(self) -> None:
        Job.objects.all().delete()
        Execution.objects.all().delete()
        self.team, _ = PicTeam.objects.get_or_create(slug="t", defaults={"name": "T", "slack_handle": "@t"})
        Category.objects.get_or_create(slug="general", defaults={"name": "General"})
        self.now = START
        self.leader = Leader()
        self.leader.take_over()
        self.old: list[Leader] = []
        self.models: dict[uuid.UUID, Model] = {}

    def at_now(self) -> Any:
        return time_machine.travel(self.now, tick=False)

    def some_job(self, data: st.DataObject) -> Job:
        return Job.objects.get(pk=data.draw(st.sampled_from(sorted(self.models))))

    @rule(expression=EXPRESSIONS)
    def create(self, expression: str) -> None:
        body = {
            "name": uuid.uuid4().hex,
            "cron_expression": expression,
            "end_date": "2099-01-01",
            "pic_team": "t",
            "target_url": "https://x.example.com",
        }
        with self.at_now():
            job = create_job(body, by=None)
        self.models[job.pk] = Model(expression, True)
        self.models[job.pk].reschedule(self.now)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), expression=EXPRESSIONS)
    def edit(self, data: st.DataObject, expression: str) -> None:
        job = self.some_job(data)
        model = self.models[job.pk]
        with self.at_now():
            update_job(job.pk, {"cron_expression": expression}, by=_admin())
        if model.expression != expression:
            model.expression = expression
            model.reschedule(self.now)

    @precondition(lambda self: self.models)
    @rule(data=st.data(), active=st.booleans())
    def pause_or_resume(self, data: st.DataObject, active: bool) -> None:
        job = self.some_job(data)
        model = self.models[job.pk]
        with self.at_now():
            set_active(job, active, by=None)
        if model.active != active:
            model.active = active
            model.next = None
            model.reschedule(self.now)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job = self.some_job(data)
        with self.at_now():
            remove_jobs([job], by=_admin())
        del self.models[job.pk]

    @rule(seconds=st.integers(0, 1500))
    def time_passes(self, seconds: int) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @rule(seconds=st.integers(1, 300))
    def the_clock_jumps_back(self, seconds: int) -> None:
        self.now -= dt.timedelta(seconds=seconds)

    @rule()
    def fire(self) -> None:
        with self.at_now():
            fire(self.leader)
        for model in self.models.values():
            model.fire(self.now)

    @rule()
    def fail_over(self) -> None:
        self.old.append(self.leader)
        self.leader = Leader()
        self.leader.take_over()

    @precondition(lambda self: self.old)
    @rule()
    def an_old_leader_goes_on(self) -> None:
        with self.at_now(), pytest.raises(NotLeading):
            fire(self.old[-1])

    @invariant()
    def executions_are_those_of_the_model(self) -> None:
        for pk, model in getattr(self, "models", {}).items():
            found = Execution.objects.filter(job=pk).order_by()
            ran = list(found.exclude(status=Status.MISSED).values_list("scheduled_for", flat=True))
            assert len(ran) == len(set(ran))
            assert set(ran) == model.ran
            assert (
                set(found.filter(status=Status.MISSED).values_list("scheduled_for", flat=True))
                == model.missed - model.ran
            )


def _admin() -> Any:
    from accounts.models import Role, User

    return User.objects.filter(role=Role.ADMIN).first() or User.objects.create_user(
        "boss", "boss@example.com", "x", role=Role.ADMIN
    )


@pytest.mark.django_db
def test_executions_equal_those_of_a_simple_model(handed: list[Any]) -> None:
    run_state_machine_as_test(
        Schedulers,
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
