"""Running a job once with other metadata."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from executions.models import BatchRun, Execution, Status
from jobs.models import Job
from tests.support.executions import ran
from windows import services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]


def url(job: Job) -> str:
    return reverse("admin:jobs_job_run_with", args=[job.pk])


def test_a_run_with_other_metadata_leaves_the_job_as_it_is(admin_client: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(metadata={"suite": "smoke"})
    assert json.loads(admin_client.get(url(job)).context["form"].initial["metadata"]) == {"suite": "smoke"}
    answer = admin_client.post(url(job), {"metadata": '{"suite": "全部"}'})
    execution = Execution.objects.get()
    assert answer.headers["Location"] == reverse("admin:executions_execution_change", args=[execution.pk])
    assert execution.overrides == {"metadata": {"suite": "全部"}}
    job.refresh_from_db()
    assert job.metadata == {"suite": "smoke"}


def test_the_last_five_are_remembered(admin_client: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    for number in (1, 2, 3, 4, 5, 6, 6, 3):
        admin_client.post(url(job), {"metadata": json.dumps({"n": number})})
    shown = admin_client.get(url(job)).context["remembered"]
    assert [json.loads(one.text)["n"] for one in shown] == [3, 6, 5, 4, 2]
    again = admin_client.get(url(job), {"from": str(shown[2].execution.pk)})
    assert json.loads(again.context["form"].initial["metadata"]) == {"n": 5}
    assert admin_client.get(url(job), {"from": "nonsense"}).status_code == 200


def test_runs_of_a_templated_job_crowd_nothing_out(admin_client: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    admin_client.post(url(job), {"metadata": '{"n": 1}'})
    for number in range(55):
        ran(job, Status.SUCCESS, ago=-60 * (number + 1), overrides={"rendered": {"url": "x"}})
    assert len(admin_client.get(url(job)).context["remembered"]) == 1


@pytest.mark.parametrize(("text", "said"), [("{", "not valid JSON"), ("[1]", "JSON object")])
def test_bad_metadata(admin_client: Client, make_job: Callable[..., Job], text: str, said: str) -> None:
    answer = admin_client.post(url(make_job()), {"metadata": text})
    assert said in answer.content.decode()
    assert not Execution.objects.exists()


def test_inside_a_window_it_asks_first(admin_client: Client, admin: User, make_job: Callable[..., Job]) -> None:
    job = make_job()
    services.pause([job], timezone.now() + dt.timedelta(hours=1), "", by=admin)
    assert "Run although a window is open" in admin_client.get(url(job)).content.decode()
    assert "is inside the window" in admin_client.post(url(job), {"metadata": "{}"}).content.decode()
    assert not Execution.objects.exists()
    assert admin_client.post(url(job), {"metadata": "{}", "force": "on"}).status_code == 302


def test_only_who_may_change_the_job(
    browser_of: Callable[[User], Client], user: User, make_job: Callable[..., Any]
) -> None:
    User.objects.filter(pk=user.pk).update(admin_access=True)
    user.refresh_from_db()
    browser = browser_of(user)
    assert browser.get(url(make_job(metadata={"secret": "x"}))).status_code == 403
    assert browser.get(url(make_job(name="mine", by=user))).status_code == 200
    assert browser.get("/admin/jobs/job/nonsense/run-with/").status_code == 404


def test_at_a_time_to_come(admin_client: Client, admin: User, make_job: Callable[..., Job]) -> None:
    job = make_job(time_zone="Europe/Berlin", end_date="2099-12-31")
    day = (timezone.now() + dt.timedelta(days=2)).date()
    answer = admin_client.post(url(job), {"metadata": "{}", "at": f"{day}T09:00"}, follow=True)
    page = answer.content.decode()
    assert f"runs at {day} 09:00 CE" in page
    assert "single run" in page
    run = BatchRun.objects.get()
    assert run.due_at.astimezone(job.zone).hour == 9
    assert run.overrides is None
    cancel = reverse("admin:jobs_job_cancel_single_run", args=[job.pk, run.pk])
    assert cancel in page
    assert "The single run is cancelled." in admin_client.post(cancel, follow=True).content.decode()
    assert cancel not in admin_client.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()
    assert not Execution.objects.exists()


def test_a_time_that_has_passed_is_refused_at_its_field(admin_client: Client, make_job: Callable[..., Job]) -> None:
    answer = admin_client.post(url(make_job()), {"metadata": "{}", "at": "2020-01-01T09:00"})
    assert list(answer.context["form"].errors) == ["at"]
    assert not BatchRun.objects.exists()


def test_inside_a_window_running_again_and_selected_jobs_ask_first(
    admin_client: Client, admin: User, make_job: Callable[..., Job]
) -> None:
    job = make_job()
    admin_client.post(url(job), {"metadata": "{}"})
    execution = Execution.objects.get()
    services.pause([job], timezone.now() + dt.timedelta(hours=1), "", by=admin)
    page = reverse("admin:executions_execution_change", args=[execution.pk])
    assert "Run again all the same" in admin_client.get(page).content.decode()
    again = reverse("admin:executions_execution_again", args=[execution.pk])
    assert "is inside the window" in admin_client.post(again, follow=True).content.decode()
    admin_client.post(again, {"force": "1"})
    assert Execution.objects.count() == 2
    listed = reverse("admin:jobs_job_changelist")
    Job.objects.update(last_status="success")
    assert "Paused" in admin_client.get(listed).content.decode()
    selected = {"action": "run_now", "_selected_action": [str(job.pk)]}
    assert "Run although a window is open" in admin_client.post(listed, selected).content.decode()
    admin_client.post(listed, {**selected, "apply": "1"})
    assert Execution.objects.count() == 2
    admin_client.post(listed, {**selected, "apply": "1", "force": "on"})
    assert Execution.objects.count() == 3
