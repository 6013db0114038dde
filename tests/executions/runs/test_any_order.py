"""Whatever the order of webhook, poll, re-run and restart, the record is that of a simple model: the latest attempt of
the run decides, until a success is recorded.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from demo.github_stand_in import GitHub, Run
from executions.models import Execution, Rollup, Status, WorkflowRun
from executions.runs import hooks
from executions.runs.follower import RunFollower
from jobs.models import Job
from taxonomy.models import Category, PicTeam
from tests.support.clock import PassingTime, passing_time
from tests.support.executions import left

NIGHT = dt.datetime(2026, 11, 26, 13, 0, tzinfo=dt.UTC)
CONCLUSIONS = ("success", "failure", "timed_out", "cancelled")
ACTION = st.one_of(
    st.tuples(st.just("time"), st.integers(1, 300)),
    st.tuples(st.sampled_from(["poll", "restart", "webhook", "person"]), st.just(0)),
)


class Story:
    """One run of a job, and what happens to it."""

    def __init__(self, github: GitHub, clock: PassingTime, conclusions: list[str], reruns: int) -> None:
        self.github, self.clock = github, clock
        self.follower = RunFollower(clock.monotonic)
        team = PicTeam.objects.create(name="QA", slug="qa")
        general = Category.objects.get_or_create(slug="general", defaults={"name": "General"})[0]
        names = {"github_owner": "acme", "github_repo": "shop", "github_workflow_name": "e2e.yml"}
        job = Job.objects.create(
            name="Nightly", cron_expression="0 22 * * *", end_date=dt.date(2099, 1, 1), pic_team=team,
            category=general, target_kind="github_actions", rerun_failed_jobs=reruns, rerun_after_seconds=30, **names,
        )  # fmt: skip
        self.run = Run(7, "acme/shop", "e2e.yml", conclusions[0], 40, github.url, clock.now, conclusions)
        github.runs = {7: self.run}
        values: dict[str, Any] = {"execution_type": "github_actions", "target": "acme/shop/e2e.yml", "run_id": 7}
        self.execution = left(job, started_at=NIGHT, scheduled_for=NIGHT, **values)

    def act(self, kind: str, amount: int) -> None:
        if kind == "time":
            self.clock.advance(amount)
        elif kind == "poll":
            self.follower.poll()
        elif kind == "restart":
            self.follower = RunFollower(self.clock.monotonic)
        elif kind == "webhook":
            hooks.run_has_changed(7)
        elif self.run.is_over and not self.is_recorded_as_success:
            self.run.run_again()

    @property
    def is_recorded_as_success(self) -> bool:
        """A success is final: only after a bad end is a run followed further, as docs/github.md says."""
        return Execution.objects.filter(pk=self.execution.pk, status=Status.SUCCESS).exists()

    def settle(self) -> None:
        """Let everything come to its end."""
        for _ in range(200):
            self.clock.advance(30)
            self.follower.poll()


class TestAnyOrder(TestCase):
    @pytest.fixture(autouse=True)
    def _github(self, settings: Any) -> Any:
        with passing_time(NIGHT) as clock, GitHub(now=clock.now) as github:
            settings.GITHUB_API_URL, settings.GITHUB_TOKEN = github.url, "x"
            self.github, self.clock = github, clock
            yield

    @hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        st.lists(st.sampled_from(CONCLUSIONS), min_size=1, max_size=5), st.integers(0, 2), st.lists(ACTION, max_size=15)
    )
    def test_the_latest_attempt_decides(
        self, conclusions: list[str], reruns: int, actions: list[tuple[str, int]]
    ) -> None:
        self.clock._traveller.move_to(NIGHT)
        self.github.calls.clear()
        story = Story(self.github, self.clock, conclusions, reruns)
        for kind, amount in actions:
            story.act(kind, amount)
        story.settle()
        execution = Execution.objects.get(pk=story.execution.pk)
        wanted = Status.SUCCESS if story.run.conclusion == "success" else Status.FAILED
        assert (execution.status, execution.run_conclusion) == (wanted, story.run.conclusion)
        # It was never run again more often than the job allows, and counted once.
        asked = [path for method, path, _ in self.github.calls if method == "POST" and "rerun" in path]
        assert len(asked) <= reruns
        counts = Rollup.objects.get()
        assert (counts.success, counts.failed) == ((1, 0) if wanted == Status.SUCCESS else (0, 1))
        stored = WorkflowRun.objects.filter(pk=execution.pk).first()
        attempts = len(stored.attempts) if stored else 1
        assert attempts <= story.run.attempt
