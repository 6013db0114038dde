"""Cancelling executions: queued, waiting, between attempts, under way, and followed on GitHub."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from demo.github_stand_in import GitHub
from executions.celery_backend import tasks
from executions.delivery import engine
from executions.models import Execution, Status
from executions.recovery import recover
from executions.services import trigger_now
from jobs.models import Job
from notifications.models import Event
from scheduler.firing import start_queued
from scheduler.leadership import Leader
from tests.support.executions import ended, left
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
MakeJob = Callable[..., Job]


def cancel(api: APIClient, execution: Execution) -> Any:
    return api.post(f"/api/v2/executions/{execution.pk}/cancel")


def test_a_call_under_way_is_broken_off(make_job: MakeJob, target: Target, api: APIClient, admin: User) -> None:
    job = make_job(target_url=target.url + "/hang", max_attempts=3, retry_backoff_seconds=1)
    execution = trigger_now(job.pk, {}, by=admin)
    target.wait_for(1)
    answer = cancel(api, execution)
    assert (answer.status_code, answer.json()["message"]) == (200, "Execution cancelled")
    shown = answer.json()["execution"]
    assert (shown["status"], shown["error_message"]) == ("cancelled", "cancelled by ada@example.com")
    host = target.url.removeprefix("http://")
    # The connection is closed and its slot is free, long before the target answers.
    wait_until(lambda: engine.local_engine().limiter.demand(f"host {host}") == 0, 5)
    job.refresh_from_db()
    assert job.last_status == Status.CANCELLED
    assert len(target.arrivals) == 1
    assert not Event.objects.filter(title__in=["Job Completed", "Job Failed"]).exists()


def test_between_attempts_no_further_attempt_is_made(
    make_job: MakeJob, target: Target, api: APIClient, admin: User
) -> None:
    job = make_job(target_url=target.url + "/status/503", max_attempts=5, retry_backoff_seconds=2)
    execution = trigger_now(job.pk, {}, by=admin)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts, 5)
    assert cancel(api, execution).status_code == 200
    done = Execution.objects.get(pk=execution.pk)
    assert (done.status, len(done.attempts)) == (Status.CANCELLED, 1)
    assert recover() == 0


def test_a_queued_execution_never_starts(make_job: MakeJob, target: Target, api: APIClient) -> None:
    job = make_job(target_url=target.url + "/ok", overlap_policy="queue_one")
    queued = left(job, status=Status.QUEUED, scheduled_for=timezone.now(), target=str(job.target))
    assert cancel(api, queued).status_code == 200
    leader = Leader()
    leader.take_over()
    assert start_queued(leader, {}) == 0
    assert target.arrivals == []


def test_an_unclaimed_execution_is_claimed_by_no_worker(
    sent: dict[uuid.UUID, str], make_job: MakeJob, target: Target, api: APIClient
) -> None:
    execution = left(make_job(target_url=target.url + "/ok"), target=target.url + "/ok")
    assert cancel(api, execution).status_code == 200
    assert tasks.carry_out(1, [execution.pk.hex]) == 0
    assert target.arrivals == []


def test_what_has_ended_is_not_cancelled(make_job: MakeJob, target: Target, api: APIClient, admin: User) -> None:
    done = ended(trigger_now(make_job(target_url=target.url + "/ok").pk, {}, by=admin))
    answer = cancel(api, done)
    assert (answer.status_code, answer.json()["error"]) == (409, "Execution already ended")
    assert Execution.objects.get(pk=done.pk).status == Status.SUCCESS
    assert api.post(f"/api/v2/executions/{uuid.uuid4()}/cancel").status_code == 404


def test_only_those_who_may_run_a_job_may_cancel(
    make_job: MakeJob, client_of: Callable[[User], APIClient], user: User, viewer: User
) -> None:
    execution = left(make_job())
    assert cancel(client_of(viewer), execution).status_code == 403
    assert cancel(client_of(user), execution).status_code == 403
    own = left(make_job(name="Own", by=user))
    assert cancel(client_of(user), own).status_code == 200


class TestOnGitHub:
    @pytest.fixture
    def github(self, settings: Any) -> Iterator[GitHub]:
        with GitHub() as server:
            settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
            yield server

    @pytest.fixture
    def followed(self, make_job: MakeJob, github: GitHub, admin: User) -> Execution:
        job = make_job(github_owner="acme", github_repo="shop", github_workflow_name="success-900.yml")
        execution = trigger_now(job.pk, {}, by=admin)
        wait_until(lambda: Execution.objects.get(pk=execution.pk).run_id, 5)
        return Execution.objects.get(pk=execution.pk)

    def test_the_run_is_cancelled_there(self, followed: Execution, github: GitHub, api: APIClient) -> None:
        assert cancel(api, followed).status_code == 200
        (run,) = github.runs.values()
        assert run.body()["conclusion"] == "cancelled"
        assert Execution.objects.get(pk=followed.pk).status == Status.CANCELLED

    def test_a_run_that_has_ended_there_keeps_its_outcome(
        self, followed: Execution, github: GitHub, api: APIClient
    ) -> None:
        next(iter(github.runs.values())).seconds = 0
        answer = cancel(api, followed)
        assert (answer.status_code, answer.json()["error"]) == (409, "Run not cancelled")
        assert Execution.objects.get(pk=followed.pk).status == Status.RUNNING

    def test_a_refusal_says_what_to_do(self, followed: Execution, github: GitHub, api: APIClient) -> None:
        github.fail_next = [(403, {})]
        assert "Cancel it on GitHub" in cancel(api, followed).json()["message"]


def test_the_admin_has_a_button(make_job: MakeJob, browser: Client) -> None:
    execution = left(make_job())
    page = reverse("admin:executions_execution_change", args=[execution.pk])
    assert "Cancel this execution" in browser.get(page).content.decode()
    answer = browser.post(reverse("admin:executions_execution_cancel", args=[execution.pk]), follow=True)
    assert "It is cancelled." in answer.content.decode()
    assert "Cancel this execution" not in browser.get(page).content.decode()
