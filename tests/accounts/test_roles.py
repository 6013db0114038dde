"""Users and viewers who are let into the admin do there what the API lets them do, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from executions.models import Execution
from jobs.models import Job
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Callable[[User], Client]:
    def make(account: User) -> Client:
        account.admin_access = True
        account.save()
        client = Client()
        client.force_login(account)
        return client

    return make


def test_nobody_but_admins_enters_unasked(user: User) -> None:
    client = Client()
    client.force_login(user)
    assert client.get(reverse("admin:index")).status_code == 302


def test_a_user_changes_and_runs_their_own_jobs_only(
    user: User, session: Callable[[User], Client], make_job: Callable[..., Job]
) -> None:
    mine, other = make_job(name="mine", by=user), make_job(name="other")
    client = session(user)
    assert client.get(reverse("admin:index")).status_code == 200
    assert client.get(reverse("admin:jobs_job_changelist")).status_code == 200
    for job, allowed in ((mine, True), (other, False)):
        toggled = client.post(reverse("admin:jobs_job_disable", args=[job.pk]))
        assert toggled.status_code == (302 if allowed else 403)
        job.refresh_from_db()
        assert job.is_active is not allowed
        assert (b'name="_save"' in client.get(reverse("admin:jobs_job_change", args=[job.pk])).content) is allowed
        assert client.post(reverse("admin:jobs_job_run", args=[other.pk])).status_code == 403
    assert client.post(reverse("admin:jobs_job_delete", args=[other.pk]), {"post": "yes"}).status_code == 403
    everything = {"action": "delete_selected", "_selected_action": [str(mine.pk), str(other.pk)], "post": "yes"}
    client.post(reverse("admin:jobs_job_changelist"), everything)
    assert Job.objects.filter(pk=other.pk).exists()
    client.post(
        reverse("admin:jobs_job_changelist"), {"action": "disable", "_selected_action": [str(other.pk)]}, follow=True
    )
    other.refresh_from_db()
    assert other.is_active


def test_a_viewer_reads(viewer: User, session: Callable[[User], Client], make_job: Callable[..., Job]) -> None:
    job = make_job(metadata={"api_key": "hush"})
    execution = Execution.objects.create(job=job, trigger_type="manual", execution_type="webhook", target="x")
    client = session(viewer)
    for name, args in (
        ("jobs_job_changelist", []),
        ("jobs_job_change", [job.pk]),
        ("executions_execution_changelist", []),
        ("executions_execution_change", [execution.pk]),
        ("calendar", []),
        ("index", []),
    ):
        assert client.get(reverse(f"admin:{name}", args=args)).status_code == 200, name
    for name in ("jobs_job_disable", "jobs_job_run", "jobs_job_delete"):
        assert client.post(reverse(f"admin:{name}", args=[job.pk]), {"post": "yes"}).status_code == 403, name
    assert client.post(reverse("admin:executions_execution_again", args=[execution.pk])).status_code == 403
    assert client.get(reverse("admin:jobs_job_add")).status_code == 403
    assert client.get(reverse("admin:import_jobs")).status_code == 403
    assert client.post(reverse("admin:jobs_job_test_run"), {"target_url": "http://127.0.0.1:1/"}).status_code == 403


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_what_is_not_theirs_to_see_is_closed(
    role: str, make_user: Callable[..., User], session: Callable[[User], Client]
) -> None:
    client = session(make_user("someone", role))
    closed = ["accounts_user", "settings_app_slacksettings", "notifications_message", "accounts_loginsession"]
    for model in closed:
        assert client.get(reverse(f"admin:{model}_changelist")).status_code == 403, model
    opened = [
        model._meta.label_lower
        for model in django_admin.site._registry
        if client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")).status_code == 200
    ]
    assert sorted(opened) == [
        "audit.changerecord",
        "calendars.calendar",
        "executions.batch",
        "executions.execution",
        "jobs.job",
        "scheduler.leadership",
        "taxonomy.category",
        "taxonomy.picteam",
        "windows.window",
    ]


def test_state_changes_by_post_with_csrf_only(admin: User, make_job: Callable[..., Job]) -> None:
    job = make_job()
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    for name in ("jobs_job_disable", "jobs_job_run"):
        page = reverse(f"admin:{name}", args=[job.pk])
        assert client.get(page).status_code == 405
        assert client.post(page).status_code == 403
    job.refresh_from_db()
    assert job.is_active


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_no_action_of_any_list_is_open_to_who_may_only_look(
    role: str, make_user: Callable[..., User], session: Callable[[User], Client], team: PicTeam
) -> None:
    """Every action of every list, sent by hand."""
    client = session(make_user("someone", role))
    for model, model_admin in django_admin.site._registry.items():
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        shown = client.get(page)
        if shown.status_code == 403:
            continue
        request = shown.wsgi_request
        offered = set(model_admin.get_actions(request))
        assert offered <= {
            "run_again",
            "run_now",
            "enable",
            "disable",
            "extend",
            "pause",
            "move",
            "export_csv",
            "export_json",
            "delete_selected",
        }
        if role == "viewer":
            assert offered <= {"export_csv", "export_json"}, model
        assert model in {Job, Execution} or not offered, (model, offered)
    client.post(reverse("admin:taxonomy_picteam_changelist"), {"action": "disable", "_selected_action": [str(team.pk)]})
    team.refresh_from_db()
    assert team.is_active


def test_a_stale_page_does_only_what_its_button_said(admin: User, make_job: Callable[..., Job]) -> None:
    job = make_job()
    client = Client()
    client.force_login(admin)
    for _ in range(2):
        client.post(reverse("admin:jobs_job_disable", args=[job.pk]))
        job.refresh_from_db()
        assert not job.is_active


def test_buttons_are_shown_to_those_who_may_press_them(
    viewer: User, user: User, session: Callable[[User], Client], make_job: Callable[..., Job]
) -> None:
    make_job(name="mine", by=user)
    make_job(name="other")
    page = reverse("admin:jobs_job_changelist")
    assert session(viewer).get(page).content.count(b'form="act"') == 0
    assert session(user).get(page).content.count(b'form="act"') == 2
    assert b"/admin/import/" not in session(viewer).get(page).content
