"""The form of a workflow's job: what GitHub offers to choose from, and the forecast of its budget."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from console.pages import budget_forecast
from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions.targets.github import pickers
from jobs.models import Job
from settings_app import credential_rights
from settings_app.models import GitHubCredential

pytestmark = pytest.mark.django_db
PICK = "/admin/jobs/job/pick/"
WORKFLOW = """on:
  workflow_dispatch:
    inputs:
      browser: {type: choice, options: [chrome, firefox], default: chrome}
      headless: {type: boolean}
      where: {type: environment}
      retries: {type: number, required: true, description: How often}
jobs: {}
"""


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    pickers.forget()
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
        server.all_files = {("acme/shop", "e2e.yml"): WORKFLOW, ("acme/shop", "ci.yml"): "on: push\n"}
        yield server
    pickers.forget()


def pick(browser: Client, **asked: str) -> Any:
    return browser.get(PICK, asked).json()


def test_each_choice_follows_from_the_one_before(browser: Client, github: GitHub) -> None:
    assert pick(browser)["repositories"] == ["acme/docs", "acme/shop"]
    names = {"github_owner": "acme", "github_repo": "shop"}
    found = pick(browser, **names)
    assert (found["workflows"], found["branches"]) == (["ci.yml", "e2e.yml"], ["main", "release/2"])
    inputs = {one["name"]: one for one in pick(browser, **names, github_workflow_name="e2e.yml")["inputs"]}
    assert inputs["browser"]["options"] == ["chrome", "firefox"]
    assert [inputs[name]["type"] for name in ("headless", "where", "retries")] == ["boolean", "environment", "number"]
    assert (inputs["where"]["options"], inputs["retries"]["required"]) == (["staging"], True)


def test_answers_are_kept_for_a_while(browser: Client, github: GitHub) -> None:
    pick(browser)
    pick(browser)
    assert [path for _, path, _ in github.calls] == ["/user/repos"]


def test_what_is_missing_says_why_and_offers_the_rest(browser: Client, github: GitHub, settings: Any) -> None:
    found = pick(browser, github_owner="acme", github_repo="shop", github_workflow_name="ci.yml")
    assert (found["workflows"], "workflow_dispatch" in found["problem"]) == (["ci.yml", "e2e.yml"], True)
    settings.GITHUB_TOKEN = ""
    pickers.forget()
    assert "GITHUB_TOKEN is not set" in pick(browser)["problem"]


def test_a_rate_limit_is_kept_and_says_until_when(browser: Client, github: GitHub) -> None:
    github.fail_next = [(403, {"Retry-After": "30"})]
    assert "rate limit is reached: wait until" in pick(browser)["problem"]
    calls = len(github.calls)
    assert "rate limit is reached: wait until" in pick(browser)["problem"]
    assert len(github.calls) == calls


@pytest.mark.parametrize("name", ["..", "a/b", "a b", "日本", "x" * 200, "%2e%2e"])
def test_no_other_address_is_asked(browser: Client, github: GitHub, name: str) -> None:
    pick(browser, github_owner="acme", github_repo=name)
    pick(browser, github_owner="acme", github_repo="shop", github_workflow_name=name)
    assert not [path for _, path, _ in github.calls if ".." in path or "contents" in path]


def test_a_credential_for_admins_offers_nothing_to_others(
    github: GitHub, make_user: Callable[..., User], browser_of: Callable[[User], Client]
) -> None:
    user, viewer = (make_user(f"a {role}", role, admin_access=True) for role in ("user", "viewer"))
    credential = GitHubCredential.objects.create(name="ci", token=encrypt("ghp_x"), usable_by="admins")
    answer = browser_of(user).get(PICK, {"github_credential": str(credential.pk)})
    assert (answer.status_code, github.calls) == (403, [])
    assert browser_of(viewer).get(PICK).status_code == 403


def test_only_the_credentials_repositories_are_offered(browser: Client, github: GitHub) -> None:
    credential = GitHubCredential.objects.create(name="ci", token=encrypt("ghp_x"), repositories="acme/docs")
    found = pick(browser, github_credential=str(credential.pk), github_owner="acme", github_repo="shop")
    assert (found["repositories"], found["workflows"]) == (["acme/docs"], [])
    assert "an admin names its repositories" in found["problem"]


class TestForecast:
    @pytest.fixture
    def jobs(self, make_job: Callable[..., Job]) -> GitHubCredential:
        credential = GitHubCredential.objects.create(name="qa-app", token=encrypt("x"), per_minute=2)
        for number in range(5):
            make_job(name=f"job {number}", target_url=f"acme/shop/{number}.yml", github_credential="qa-app",
                     cron_expression="0 9 * * *")  # fmt: skip
        make_job(name="later", target_url="acme/shop/x.yml", github_credential="qa-app", cron_expression="1 9 * * *")
        return credential

    def test_the_form_says_when_the_last_leaves_and_what_is_quieter(
        self, jobs: GitHubCredential, browser: Client
    ) -> None:
        asked = {"cron": "0 9 * * *", "target_kind": "github", "github_credential": str(jobs.pk)}
        told = browser.get("/admin/jobs/job/preview/", asked).json()["budget"]
        assert told == "6 dispatches at 09:00, the last leaves about 09:02; quieter: 09:03"
        assert browser.get("/admin/jobs/job/preview/", {**asked, "cron": "7 3 * * *"}).json()["budget"] == ""
        assert browser.get("/admin/jobs/job/preview/", {**asked, "target_kind": "webhook"}).json()["budget"] == ""

    def test_the_calendar_says_so_too(self, jobs: GitHubCredential, browser: Client) -> None:
        day = dt.date(2026, 11, 27)
        with time_machine.travel(dt.datetime(2026, 11, 26, 3, 0, tzinfo=dt.UTC), tick=False):
            assert budget_forecast.crowds(day) == [
                "5 dispatches at 09:00, the last leaves about 09:02; quieter: 09:03",
                # Three are left from the minute before.
                "1 dispatch at 09:01, the last leaves about 09:02; quieter: 09:03",
            ]
        page = browser.get("/admin/calendar/?view=day").content.decode()
        assert "5 dispatches at 09:00" in page
        GitHubCredential.objects.update(per_minute=100)
        credential_rights.forget()
        assert budget_forecast.crowds(day) == []
