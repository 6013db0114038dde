"""Moving in: by the admin page, the API and the command."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from console.pages import import_schedules
from core.db.encryption import encrypt
from demo.github_stand_in import GitHub
from executions.budgets import Pause
from executions.targets.github.limits import RateLimited
from jobs.models import Job
from moving import github as reader
from settings_app import credential_rights
from settings_app.models import GitHubCredential
from taxonomy.models import Category, PicTeam
from tests.moving.test_workflow_file import FILE

pytestmark = pytest.mark.django_db
GIVEN = {"pic_team": "qa-team", "end_date": "2099-12-31", "time_zone": "Asia/Tokyo"}
CRONTAB = "# Report\n0 2 * * * curl https://hooks.example.com/report\n0 3 * * * /opt/x.sh\n@reboot /opt/y.sh\n"


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with GitHub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "the environment's"
        server.repositories = [
            {"full_name": f"acme/{name}", "permissions": {"push": True}} for name in ("shop", "pay", "docs")
        ] + [{"full_name": "acme/old", "archived": True}]
        server.all_files = {
            ("acme/shop", "e2e.yml"): FILE,
            ("acme/shop", "ci.yml"): "on: push\n",
            ("acme/pay", "nightly.yml"): "on:\n  schedule:\n    - cron: '30 17 * * 1-5'\njobs: {}\n",
            ("acme/old", "e2e.yml"): FILE,
        }
        server.default_branches = {"acme/shop": "trunk"}
        yield server


@pytest.fixture(autouse=True)
def _labels(team: PicTeam, general: Category) -> None:
    """The team and the category of the jobs."""


def preview(api: APIClient, **body: Any) -> Any:
    return api.post("/api/v2/imports/preview", {**GIVEN, **body}, format="json")


class TestFiles:
    def test_each_line_has_a_verdict(self, api: APIClient) -> None:
        found = preview(api, source="crontab", text=CRONTAB).json()["proposals"]
        assert [(one["verdict"], one["schedule"]) for one in found] == [
            ("exact", "0 2 * * *"), ("cannot", "0 3 * * *"), ("cannot", "@reboot"),
        ]  # fmt: skip
        assert found[0]["job"]["target_url"] == "https://hooks.example.com/report"
        assert "give the target URL" in found[1]["reasons"][0]
        assert not Job.objects.exists()

    def test_a_target_for_commands(self, api: APIClient) -> None:
        found = preview(api, source="crontab", text=CRONTAB, target_url="https://run.example.com/").json()["proposals"]
        assert [one["verdict"] for one in found] == ["exact", "changed", "cannot"]
        assert "is not run" in found[1]["reasons"][0]

    def test_the_chosen_ones_are_created_disabled(self, api: APIClient, admin: User) -> None:
        found = preview(api, source="crontab", text=CRONTAB).json()["proposals"]
        answer = api.post("/api/v2/imports", {"jobs": [found[0]["job"]]}, format="json")
        assert answer.status_code == 201
        job = Job.objects.get()
        assert (job.name, job.is_active, job.cron_expression, job.created_by) == ("Report", False, "0 2 * * *", admin)
        # It is not proposed twice.
        again = preview(api, source="crontab", text=CRONTAB).json()["proposals"][0]
        assert (again["verdict"], again["reasons"]) == ("cannot", ["the job 'Report' does it already"])

    def test_all_or_none(self, api: APIClient) -> None:
        job = preview(api, source="crontab", text=CRONTAB).json()["proposals"][0]["job"]
        answer = api.post(
            "/api/v2/imports", {"jobs": [job, {**job, "name": "b", "cron_expression": "x"}]}, format="json"
        )
        assert answer.status_code == 400
        assert "b: 1 fields found" in answer.json()["message"]
        assert not Job.objects.exists()

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"source": "windows", "text": "x"}, "'source' must be one of"),
            ({"source": "crontab", "text": "# nothing\n"}, "holds no schedule"),
            ({"source": "kubernetes", "text": "{"}, "no YAML"),
            ({"source": "github", "github_credential": "none"}, "There is no GitHub credential 'none'"),
        ],
    )
    def test_what_is_refused_says_why(self, api: APIClient, body: dict[str, Any], words: str) -> None:
        answer = preview(api, **body)
        assert (answer.status_code, words in answer.json()["message"]) == (400, True)

    def test_without_a_zone_it_says_in_which_it_is_read(self, api: APIClient) -> None:
        found = preview(api, source="crontab", text=CRONTAB, time_zone="").json()["proposals"][0]
        assert (found["verdict"], found["reasons"]) == (
            "changed", ["it names no time zone: it is read in Asia/Tokyo"],
        )  # fmt: skip

    @pytest.mark.parametrize("jobs", [None, [], "x", 5, [1], [[]], [{}]])
    def test_odd_choices_are_refused(self, api: APIClient, jobs: Any) -> None:
        assert api.post("/api/v2/imports", {"jobs": jobs}, format="json").status_code == 400


class TestGitHub:
    def test_workflows_become_jobs_of_their_default_branch(self, api: APIClient, github: GitHub) -> None:
        GitHubCredential.objects.create(name="qa-app", token=encrypt("ghp_x"))
        answer = preview(api, source="github", github_credential="qa-app").json()
        found = {one["job"]["name"]: one for one in answer["proposals"] if one["job"]}
        assert sorted(found) == ["shop e2e (1)", "shop e2e (2)"]
        second = found["shop e2e (2)"]
        assert second["verdict"] == "exact"
        assert {name: second["job"][name] for name in ("github_owner", "github_repo", "github_workflow_name",
                                                       "github_ref", "github_credential", "time_zone")} == {
            "github_owner": "acme", "github_repo": "shop", "github_workflow_name": "e2e.yml", "github_ref": "trunk",
            "github_credential": "qa-app", "time_zone": "Asia/Tokyo",
        }  # fmt: skip
        assert found["shop e2e (1)"]["job"]["time_zone"] == "UTC"
        assert "-  schedule:" in second["removal"]
        (pay,) = [one for one in answer["proposals"] if not one["job"]]
        assert "add 'workflow_dispatch'" in pay["reasons"][0]
        # Archived repositories run nothing.
        assert not [path for _, path, _ in github.calls if "acme/old" in path]

    def test_one_repository_that_cannot_be_read_stops_no_other(self, api: APIClient, github: GitHub) -> None:
        answer, broken = github.answer, "/repos/acme/pay/contents"

        def break_one(method: str, path: str, *more: Any) -> Any:
            return (500, {"message": "x"}, {}) if path.startswith(broken) else answer(method, path, *more)

        github.answer = break_one  # type: ignore[method-assign]
        told = preview(api, source="github").json()
        assert (len(told["proposals"]), [one["repository"] for one in told["unread"]]) == (2, ["acme/pay"])

    def test_a_token_that_is_refused_says_so(self, api: APIClient, github: GitHub, settings: Any) -> None:
        settings.GITHUB_TOKEN = "revoked"
        answer = preview(api, source="github")
        assert (answer.status_code, answer.json()["error"]) == (409, "GitHub not readable")

    def test_every_repository_is_read_though_some_are_archived(self, api: APIClient, github: GitHub) -> None:
        github.repositories = [{"full_name": f"acme/r{number}", "archived": number == 3} for number in range(150)]
        github.all_files = {("acme/r149", "e2e.yml"): FILE}
        assert len(preview(api, source="github").json()["proposals"]) == 2

    def test_a_file_that_cannot_be_read_is_told(self, api: APIClient, github: GitHub) -> None:
        answer = github.answer

        def refuse(method: str, path: str, *more: Any) -> Any:
            refused = "/acme/shop/contents/.github/workflows/ci.yml" in path
            return (403, {"message": "x"}, {}) if refused else answer(method, path, *more)

        github.answer = refuse  # type: ignore[method-assign]
        assert preview(api, source="github").json()["unread"] == [
            {"repository": "acme/shop", "reason": "its file ci.yml could not be read"}
        ]

    def test_only_who_may_use_the_credential_sees_what_it_reaches(
        self, github: GitHub, user: User, client_of: Callable[[User], APIClient], team: PicTeam
    ) -> None:
        credential = GitHubCredential.objects.create(name="ci", token=encrypt("x"), usable_by="admins")
        answer = preview(client_of(user), source="github", github_credential="ci")
        assert (answer.status_code, github.calls) == (403, [])
        GitHubCredential.objects.update(usable_by="users", repositories="acme/pay")
        credential_rights.forget()
        told = preview(client_of(user), source="github", github_credential="ci").json()
        assert {one["source"].split("/")[1] for one in told["proposals"]} == {"pay"}
        credential.teams.add(PicTeam.objects.create(name="Other", slug="other"))
        credential_rights.forget()
        assert preview(client_of(user), source="github", github_credential="ci").status_code == 400


class TestPage:
    def test_choose_create_and_get_the_lines_to_remove(self, browser: Client, github: GitHub) -> None:
        page = "/admin/import/schedules/"
        assert "GitHub Actions" in browser.get(page).content.decode()
        shown = browser.post(page, {**GIVEN, "source": "github"}).content.decode()
        assert "2 exact, 0 changed, 1 cannot" in shown
        kept = html.unescape(re.search(r'name="proposals" value="([^"]+)"', shown)[1])  # type: ignore[index]
        made = browser.post(page, {"proposals": kept, "chosen": ["0", "1"]}).content.decode()
        assert Job.objects.filter(is_active=False).count() == 2
        assert "-  schedule:" in html.unescape(made)
        assert html.unescape(made).count("--- a/.github/workflows/e2e.yml") == 1

    def test_a_forged_preview_creates_nothing(self, browser: Client) -> None:
        answer = browser.post("/admin/import/schedules/", {"proposals": "eyJ9:x:y", "chosen": ["0"]})
        assert "too old" in answer.content.decode()
        assert not Job.objects.exists()

    def test_markup_in_a_file_is_text(self, browser: Client) -> None:
        text = "# <script>alert(1)</script>\n0 2 * * * curl https://x.example.com/\n"
        shown = browser.post("/admin/import/schedules/", {**GIVEN, "source": "crontab", "text": text}).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;alert(1)" in shown

    def test_a_long_file_says_how_many_are_not_shown(self, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(import_schedules, "_SHOWN", 2)
        form = {**GIVEN, "source": "crontab", "text": CRONTAB}
        shown = browser.post("/admin/import/schedules/", form).content.decode()
        assert "1 more are not shown" in shown
        assert "@reboot" not in shown

    def test_a_viewer_may_not(self, make_user: Callable[..., User], browser_of: Callable[[User], Client]) -> None:
        viewer = make_user("vera", "viewer", admin_access=True)
        assert browser_of(viewer).get("/admin/import/schedules/").status_code == 403

    def test_nothing_chosen_says_so(self, browser: Client) -> None:
        shown = browser.post(
            "/admin/import/schedules/", {**GIVEN, "source": "crontab", "text": CRONTAB, "zone": "Asia/Tokyo"}
        ).content.decode()
        kept = html.unescape(re.search(r'name="proposals" value="([^"]+)"', shown)[1])  # type: ignore[index]
        answer = browser.post("/admin/import/schedules/", {"proposals": kept})
        assert "Choose 1 to" in html.unescape(answer.content.decode())


def test_a_rate_limit_half_way_keeps_what_was_read(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_AT_ONCE", 1)
    asked = reader._of_repository

    def of_repository(name: str, *arguments: Any) -> Any:
        if name == "acme/docs":
            raise RateLimited("limit", Pause(1800, False))
        return asked(name, *arguments)

    monkeypatch.setattr(reader, "_of_repository", of_repository)
    walk = reader.walk(None, lambda _name: True)
    assert (len(walk.found), walk.unread[0][0], walk[2]) == (3, "acme/docs", 1)
    with pytest.raises(RateLimited):
        reader.walk(None, lambda _name: True)


class TestSameCalls:
    def test_another_zone_or_method_is_another_job(self, api: APIClient) -> None:
        text = "CRON_TZ=Asia/Tokyo\n0 9 * * * curl https://a.example.com/\n"
        job = preview(api, source="crontab", text=text).json()["proposals"][0]["job"]
        api.post("/api/v2/imports", {"jobs": [job]}, format="json")
        others = (
            text.replace("Tokyo", "Seoul") + "CRON_TZ=Asia/Tokyo\n0 9 * * * curl -X DELETE https://a.example.com/\n"
        )
        assert {one["verdict"] for one in preview(api, source="crontab", text=others).json()["proposals"]} == {"exact"}

    def test_a_common_target_stands_for_different_commands(self, api: APIClient) -> None:
        target = "https://run.example.com/"
        first = preview(api, source="crontab", text="0 9 * * * /opt/a.sh\n", target_url=target).json()["proposals"][0]
        api.post("/api/v2/imports", {"jobs": [first["job"]]}, format="json")
        again = preview(api, source="crontab", text="0 9 * * * /opt/b.sh\n", target_url=target).json()["proposals"][0]
        assert again["verdict"] == "changed"

    def test_many_of_one_name_are_numbered(self, api: APIClient) -> None:
        text = "# same\n0 9 * * * curl https://a.example.com/\n\n" * 3
        names = [one["job"]["name"] for one in preview(api, source="crontab", text=text).json()["proposals"]]
        assert names == ["same", "same (2)", "same (3)"]


class TestCommand:
    def test_a_dry_run_then_the_jobs_and_patches(self, github: GitHub, tmp_path: Path) -> None:
        out = io.StringIO()
        arguments = ["github", "--pic-team", "qa-team", "--end-date", "2099-12-31"]
        call_command("importschedules", *arguments, stdout=out, stderr=io.StringIO())
        assert "3 schedules: 2 exact, 0 changed, 1 cannot. 0 jobs created" in out.getvalue()
        assert not Job.objects.exists()
        out = io.StringIO()
        call_command("importschedules", *arguments, "--create", "--json", "--patches", str(tmp_path), stdout=out,
                     stderr=io.StringIO())  # fmt: skip
        assert json.loads(out.getvalue())["created"] == 2
        assert (tmp_path / "acme+shop.patch").read_text().startswith("--- a/.github/workflows/e2e.yml")

    def test_no_patch_removes_a_schedule_without_a_job(self, github: GitHub, tmp_path: Path) -> None:
        github.all_files["acme/shop", "e2e.yml"] = FILE.replace("0 6 * * 1", "0 6 31 2 *")
        call_command("importschedules", "github", "--pic-team", "qa-team", "--end-date", "2099-12-31", "--create",
                     "--patches", str(tmp_path), stdout=io.StringIO(), stderr=io.StringIO())  # fmt: skip
        assert Job.objects.count() == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "crontab"
        file.write_text(CRONTAB)
        out = io.StringIO()
        call_command("importschedules", "crontab", str(file), "--pic-team", "qa-team", "--end-date", "2099-12-31",
                     "--time-zone", "Asia/Tokyo", "--create", "--exact-only", stdout=out)  # fmt: skip
        assert Job.objects.get().name == "Report"
