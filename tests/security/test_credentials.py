"""Who may start which workflow with whose GitHub token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from cronsched.ops.doctor import examine
from executions.models import Execution
from executions.targets.github.dispatch import GitHubDispatch
from jobs.models import Job
from settings_app import credential_rights
from settings_app.models import CredentialRights, EnvironmentToken, GitHubCredential
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db
WORKFLOW = {"github_owner": "corp", "github_repo": "payroll", "github_workflow_name": "deploy-prod.yml"}
USERS = CredentialRights.Roles.USERS


@pytest.fixture
def credential() -> GitHubCredential:
    return GitHubCredential.objects.create(name="payroll-prod", token="ghp_ADMINS_PAYROLL_TOKEN")


@pytest.fixture
def ursula(client_of: Callable[[User], APIClient], user: User) -> APIClient:
    return client_of(user)


@pytest.fixture
def github_body(job_body: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in job_body.items() if name != "target_url"}, **WORKFLOW}


class TestRoles:
    def test_a_users_job_cannot_take_an_admins_credential(
        self, ursula: APIClient, github_body: dict[str, Any], credential: GitHubCredential
    ) -> None:
        answer = ursula.post("/api/v2/jobs", {**github_body, "github_credential": "payroll-prod"})
        assert (answer.status_code, answer.json()["error"]) == (403, "Insufficient permissions")
        assert "for admins" in answer.json()["message"]
        assert not Job.objects.exists()
        job = ursula.post("/api/v2/jobs", {**github_body, "name": "x"}).json()["job"]
        assert ursula.put(f"/api/v2/jobs/{job['id']}", {"github_credential": "payroll-prod"}).status_code == 403

    def test_in_the_admins_form(
        self,
        browser_of: Callable[[User], Client],
        user: User,
        make_job: Callable[..., Job],
        credential: GitHubCredential,
    ) -> None:
        User.objects.filter(pk=user.pk).update(admin_access=True)
        user.refresh_from_db()
        job = make_job(**WORKFLOW, by=user)
        form = {
            "name": job.name, "cron_expression": job.cron_expression, "end_date": "2099-12-31", "target_kind": "github",
            "category": str(job.category_id), "pic_team": str(job.pic_team_id), "metadata": "{}", "misfire_policy":
            job.misfire_policy, "overlap_policy": job.overlap_policy,
            "on_closed_day": "run", "shift_limit_days": "10", "shift_open_days": "0",
            "github_credential": str(credential.pk),
            **WORKFLOW,
        }  # fmt: skip
        answer = browser_of(user).post(reverse("admin:jobs_job_change", args=[job.pk]), form)
        assert b"for admins" in answer.content
        job.refresh_from_db()
        assert job.github_credential is None

    def test_what_an_admin_set_up_runs_for_its_owner_as_it_is(
        self, ursula: APIClient, make_job: Callable[..., Job], user: User, credential: GitHubCredential, handed: Any
    ) -> None:
        job = make_job(**WORKFLOW, github_credential="payroll-prod")
        Job.objects.filter(pk=job.pk).update(created_by=user)
        path = f"/api/v2/jobs/{job.pk}"
        assert ursula.put(path, {"name": "renamed", "cron_expression": "5 5 * * *"}).status_code == 200
        assert ursula.post(f"{path}/execute", {}).status_code == 200
        for change in ({"github_repo": "other"}, {"github_ref": "evil"}, {"metadata": {"a": 1}}):
            assert ursula.put(path, change).status_code == 403, change
        for override in ({"github_repo": "other"}, {"dispatch_url": "o/r/w.yml"}, {"metadata": {"a": 1}}):
            assert ursula.post(f"{path}/execute", override).status_code == 403, override
        assert ursula.post(f"{path}/execute", {"github_repo": "other", "github_token": "ghp_own"}).status_code == 200

    def test_the_environments_token_is_the_admins_in_new_installations(
        self, ursula: APIClient, api: APIClient, github_body: dict[str, Any], settings: Any
    ) -> None:
        assert ursula.post("/api/v2/jobs", github_body).status_code == 201
        settings.GITHUB_TOKEN = "ghp_INSTALLATION_TOKEN"
        assert ursula.post("/api/v2/jobs", {**github_body, "name": "b"}).status_code == 403
        assert ursula.post("/api/v2/jobs/test-run", WORKFLOW).status_code == 403
        assert api.post("/api/v2/jobs", {**github_body, "name": "b"}).status_code == 201
        EnvironmentToken.objects.create(usable_by=USERS)
        assert ursula.post("/api/v2/jobs", {**github_body, "name": "c"}).status_code == 201

    def test_a_file_cannot_bring_it_in(self, user: User, team: PicTeam, general: Any, settings: Any) -> None:
        from jobs.transfer.importing import import_jobs

        settings.GITHUB_TOKEN = "ghp_INSTALLATION_TOKEN"
        head = "Job Name,Cron,Repo,Workflow Name,GitHub Owner,End Date,PIC Team"
        text = f"{head}\nx,0 9 * * *,r,w.yml,o,2099-12-31,qa-team\n"
        found = import_jobs(text.encode(), by=user, dry_run=False)
        assert [error["error"] for error in found.errors] == ["Insufficient permissions"]

    def test_a_file_asks_once(
        self, admin: User, team: PicTeam, general: Any, settings: Any, django_assert_max_num_queries: Any
    ) -> None:
        from jobs.transfer.importing import import_jobs

        settings.GITHUB_TOKEN = "ghp_INSTALLATION_TOKEN"
        rows = "".join(f"x{number},0 9 * * *,r,w.yml,o,2099-12-31,qa-team\n" for number in range(100))
        text = f"Job Name,Cron,Repo,Workflow Name,GitHub Owner,End Date,PIC Team\n{rows}"
        with django_assert_max_num_queries(8):
            assert len(import_jobs(text.encode(), by=admin, dry_run=True).jobs) == 100

    def test_the_check_of_a_workflow_reads_no_repository_of_others(
        self, browser_of: Callable[[User], Client], user: User, credential: GitHubCredential
    ) -> None:
        User.objects.filter(pk=user.pk).update(admin_access=True)
        user.refresh_from_db()
        form = {**WORKFLOW, "target_kind": "github", "github_credential": str(credential.pk)}
        answer = browser_of(user).post("/admin/jobs/job/check-workflow/", form).json()
        assert answer["ok"] is False
        assert "for admins" in answer["message"]


class TestRepositoriesAndTeams:
    def test_both_are_checked_when_a_job_is_saved(
        self, api: APIClient, github_body: dict[str, Any], credential: GitHubCredential, team: PicTeam
    ) -> None:
        body = {**github_body, "github_credential": "payroll-prod"}
        credential.repositories = "corp/website\nother/*"
        credential.save()
        answer = api.post("/api/v2/jobs", body)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["github_credential"])
        credential.repositories = "Corp/Payroll/deploy-prod"
        credential.save()
        assert api.post("/api/v2/jobs", body).status_code == 201
        credential.teams.add(PicTeam.objects.create(name="Pay", slug="pay", slack_handle="@pay"))
        answer = api.post("/api/v2/jobs", {**body, "name": "again"})
        assert "PIC team" in answer.json()["message"]
        assert api.post("/api/v2/jobs", {**body, "name": "again", "pic_team": "pay"}).status_code == 201

    def test_a_test_run_is_one_of_its_team(self, api: APIClient, team: PicTeam, settings: Any) -> None:
        settings.GITHUB_TOKEN = "ghp_INSTALLATION_TOKEN"
        token = EnvironmentToken.objects.create(usable_by=USERS)
        token.teams.add(PicTeam.objects.create(name="Pay", slug="pay", slack_handle="@pay"))
        answer = api.post("/api/v2/jobs/test-run", {**WORKFLOW, "pic_team": team.slug})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["github_credential"])
        assert not Execution.objects.exists()

    def test_and_at_each_dispatch(self, credential: GitHubCredential) -> None:
        credential.repositories = "corp/website"
        credential.save()
        dispatch = GitHubDispatch("corp", "payroll", "w.yml", {}, "job", credential_id=credential.pk)
        with pytest.raises(Exception, match="may not be used for corp/payroll") as caught:
            dispatch._allowed_token(credential.pk)
        assert "ghp_" not in str(caught.value)

    @pytest.mark.parametrize(
        ("pattern", "workflow", "fits"),
        [
            ("corp/*", "corp/payroll/w.yml", True), ("corp/pay", "corp/payroll/w.yml", False),
            ("corp/payroll", "corp/payroll/w.yml", True), ("corp/payroll/w", "corp/payroll/w.yml", True),
            ("corp/payroll/w.yml", "corp/payroll/w", True), ("corp/payroll/x.yml", "corp/payroll/w.yml", False),
            ("*/payroll", "corp/payroll/w.yml", False), ("CORP/Payroll", "corp/payroll/w.yml", True),
        ],
    )  # fmt: skip
    def test_patterns(self, pattern: str, workflow: str, fits: bool) -> None:
        rights = credential_rights.Rights("x", "x", "users", (pattern.lower(),), frozenset(), 50, 150, 900)
        assert (rights.refusal(workflow, None) == "") is fits

    def test_the_form_names_a_line_that_is_no_repository(self, browser: Client, credential: GitHubCredential) -> None:
        page = reverse("admin:settings_app_githubcredential_change", args=[credential.pk])
        form = {"name": "payroll-prod", "kind": "token", "usable_by": "users", "repositories": "corp/a\nnonsense"}
        form |= {"at_once": "50", "per_minute": "150", "hold_limit_seconds": "900"}
        answer = browser.post(page, form)
        assert "&#x27;nonsense&#x27; is no repository" in answer.content.decode()
        assert browser.post(page, {**form, "repositories": "corp/a\n\ncorp/a"}).status_code == 302
        credential.refresh_from_db()
        assert (credential.repositories, credential.usable_by) == ("corp/a", "users")
        page = reverse("admin:settings_app_environmenttoken_changelist")
        assert (
            browser.post(
                browser.get(page).headers["Location"],
                {"usable_by": "users", "at_once": "50", "per_minute": "150", "hold_limit_seconds": "900"},
            ).status_code
            == 302
        )
        assert EnvironmentToken.objects.get().usable_by == USERS

    def test_the_doctor_names_tokens_that_are_open_to_all(self, credential: GitHubCredential) -> None:
        def noted() -> list[str]:
            return [one.words for one in examine(online=False) if one.subject == "credentials"]

        assert noted() == []
        credential.usable_by = USERS
        credential.save()
        assert "payroll-prod" in noted()[0]


def test_nothing_was_called(db: None) -> None:
    assert not Execution.objects.exists()
