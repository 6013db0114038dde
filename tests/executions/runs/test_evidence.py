"""What is found about a run that has ended: the log, the tests, and whether a newer run has displaced it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from demo.github_stand_in import GitHub, runs, zipped
from executions.models import Execution, Report, Status, StepLog
from executions.runs.follower import RunFollower
from executions.targets.github import step_logs, test_reports
from jobs.models import Job
from notifications.models import Event, Message
from notifications.outcomes import notify_pending
from settings_app.models import SlackSettings
from tests.executions.runs.conftest import Dispatch, run
from tests.support.clock import PassingTime

pytestmark = pytest.mark.django_db(transaction=True)
After = Callable[[Execution, float], Execution]


def junit(failing: list[str], passing: int = 3, skipped: int = 1) -> str:
    cases = [f'<testcase classname="login.spec.ts" name="{name}"><failure>x</failure></testcase>' for name in failing]
    cases += [f'<testcase classname="ok" name="{number}"/>' for number in range(passing)]
    cases += [f'<testcase classname="later" name="{number}"><skipped/></testcase>' for number in range(skipped)]
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


class TestDisplaced:
    @pytest.fixture
    def displaced(self, dispatch: Dispatch, github: GitHub, follower: RunFollower, clock: PassingTime) -> Any:
        """Three runs of a concurrency group: the second waits, and the third takes its place."""

        def make(**fields: Any) -> list[Execution]:
            github.groups["acme/shop", "success-120.yml"] = "deploy"
            return [dispatch("success-120.yml", **fields) for _ in range(3)]

        return make

    def test_it_is_skipped_and_nobody_is_alarmed(self, displaced: Any, after: After) -> None:
        first, second, third = displaced()
        second = after(second, 30)
        assert (second.status, second.run_conclusion) == (Status.SKIPPED, "cancelled")
        assert "displaced by a newer run" in second.error_message
        notify_pending()
        assert not Event.objects.filter(type="error").exists()
        assert after(first, 180).status == Status.SUCCESS
        assert after(third, 180).status == Status.SUCCESS

    def test_a_job_may_call_it_a_failure(self, displaced: Any, after: After) -> None:
        second = displaced(fail_if_displaced=True)[1]
        second = after(second, 30)
        assert (second.status, "displaced by a newer run" in second.error_message) == (Status.FAILED, True)

    def test_a_group_may_have_more_than_one_workflow(
        self, dispatch: Dispatch, after: After, github: GitHub, clock: PassingTime
    ) -> None:
        names = [f"success-{number}.yml" for number in (60, 61, 62)]
        github.groups.update({("acme/shop", name): "deploy" for name in names})
        ran = []
        for name in names:
            ran.append(dispatch(name))
            clock.advance(10)
        second = after(ran[1], 10)
        assert (second.status, "displaced" in second.error_message) == (Status.SKIPPED, True)

    def test_a_cancelled_run_names_the_jobs_that_had_failed(
        self, dispatch: Dispatch, after: After, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs.Run, "jobs", lambda run, failing: [
            run._job(number, name, end) for number, (name, end) in enumerate([("build", "success"), ("e2e", "failure")])
        ])  # fmt: skip
        ended = after(dispatch("cancelled-5.yml"), 20)
        assert "was cancelled: e2e > Run Playwright" in ended.error_message

    def test_a_run_that_somebody_cancelled_has_failed(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        execution = after(dispatch("cancelled-5.yml"), 20)
        assert (execution.status, "was cancelled" in execution.error_message) == (Status.FAILED, True)


class TestNotNow:
    """GitHub refuses for a rate limit, or is out of order, when it is asked about the end of a run."""

    @pytest.mark.parametrize("answer", [(403, {"Retry-After": "45"}), (502, {})])
    def test_the_end_waits_for_what_failed(
        self, dispatch: Dispatch, after: After, github: GitHub, answer: tuple[int, dict[str, str]]
    ) -> None:
        github.fail_for = {"/jobs": [answer]}
        execution = dispatch("failure-5.yml")
        if answer[0] == 403:
            assert after(execution, 20).status == Status.RUNNING
        ended = after(execution, 90)
        assert (ended.status, "e2e (chrome) > Run Playwright" in ended.error_message) == (Status.FAILED, True)

    def test_a_displaced_run_is_still_recognised(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        github.groups["acme/shop", "success-120.yml"] = "deploy"
        github.fail_for = {"/jobs": [(403, {"Retry-After": "45"})]}
        _, second, _ = [dispatch("success-120.yml") for _ in range(3)]
        second = after(second, 110)
        assert (second.status, "displaced" in second.error_message) == (Status.SKIPPED, True)

    @pytest.mark.parametrize("end", ["/logs", "/artifacts", "/zip"])
    def test_a_limit_at_the_log_or_the_report_loses_neither(
        self, dispatch: Dispatch, after: After, github: GitHub, end: str
    ) -> None:
        github.artifacts["junit"] = zipped({"a.xml": junit(["signs in"])})
        github.fail_for = {end: [(403, {"Retry-After": "45"})]}
        execution = dispatch("failure-5.yml", test_report="junit", keep_step_log=True)
        assert after(execution, 20).status == Status.RUNNING
        ended = after(execution, 90)
        assert (ended.status, StepLog.objects.filter(pk=ended.pk).exists()) == (Status.FAILED, True)
        assert Report.objects.get(pk=ended.pk).counts["failed"] == 1

    def test_it_does_not_wait_for_ever(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        github.fail_for = {"/jobs": [(502, {})] * 1000}
        execution = dispatch("failure-5.yml")
        assert after(execution, 120).status == Status.RUNNING
        assert after(execution, 700).status == Status.FAILED


class TestLog:
    def test_the_end_of_the_failed_steps_log_is_kept(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        lines = [f"2026-11-26T13:00:00.0000000Z line {number}" for number in range(90)]
        github.log = "\n".join([*lines, "2026-11-26T13:00:01.0Z ##[error]\x1b[31mTimed out\x1b[0m", "Post job cleanup"])
        after(dispatch("failure-5.yml", keep_step_log=True), 20)
        kept = StepLog.objects.get()
        assert kept.step == "e2e (chrome) > Run Playwright"
        shown = kept.text.splitlines()
        assert (len(shown), shown[0], shown[-1]) == (50, "line 41", "Error: Timed out")

    def test_it_is_not_asked_for_otherwise(self, dispatch: Dispatch, after: After, github: GitHub) -> None:
        after(dispatch("failure-5.yml"), 20)
        assert not StepLog.objects.exists()
        assert not [path for _, path, _ in github.calls if path.endswith("/logs")]

    def test_a_huge_log_is_left_out(self, dispatch: Dispatch, after: After, github: GitHub, monkeypatch: Any) -> None:
        monkeypatch.setattr(step_logs, "_LARGEST", 1024 * 1024)
        github.log = "x" * (1024 * 1024 + 1)
        execution = after(dispatch("failure-5.yml", keep_step_log=True), 20)
        assert (execution.status, StepLog.objects.exists()) == (Status.FAILED, False)
        assert Report.objects.get().message == "The log was left out: it has more than 1 MiB."

    def test_no_secret_is_kept(self) -> None:
        text = step_logs.last_lines("TOKEN is ghp_abcdefghijklmnopqrstuvwxyz0123456789 and the-token-itself\n",
                                    "the-token-itself")  # fmt: skip
        assert "the-token-itself" not in text


class TestReports:
    def test_counts_failing_tests_and_their_change(
        self, dispatch: Dispatch, after: After, github: GitHub, admin: User
    ) -> None:
        github.artifacts["junit"] = zipped({"results/a.xml": junit(["signs in", "signs out"])})
        first = after(dispatch("failure-5.yml", test_report="junit"), 20)
        report = Report.objects.get(pk=first.pk)
        assert report.counts == {"passed": 3, "failed": 2, "skipped": 1}
        assert report.failing_tests == ["login.spec.ts › signs in", "login.spec.ts › signs out"]
        github.artifacts["junit"] = zipped({"a.xml": junit(["signs out", "pays"]), "b.xml": junit([], 0, 0)})
        second = after(run(Job.objects.get(), admin), 20)
        assert "newly failing: 1, still failing: 1, fixed: 1" in second.error_message
        assert "pays" in second.error_message

    def test_a_success_says_what_is_fixed(self, dispatch: Dispatch, after: After, github: GitHub, admin: User) -> None:
        github.artifacts["junit"] = zipped({"a.xml": junit(["signs in"])})
        after(dispatch("failure-5.yml", test_report="junit"), 20)
        Job.objects.update(github_workflow_name="success-5.yml")
        github.artifacts["junit"] = zipped({"a.xml": junit([])})
        second = after(run(Job.objects.get(), admin), 20)
        assert (second.status, "fixed: 1" in second.output) == (Status.SUCCESS, True)

    @pytest.mark.parametrize(
        "archive",
        [
            b"no zip",
            zipped({"a.xml": "<not xml"}),
            zipped({"a.xml": '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuites>&b;</testsuites>'}),
            zipped({"a.xml": b"<x>" + b" " * (60 * 1024 * 1024)}),
            zipped({f"{number}.xml": "<x/>" for number in range(600)}),
        ],
        ids=["no zip", "no xml", "entities", "bomb", "many files"],
    )
    def test_archives_that_cannot_be_read_change_no_outcome(
        self, dispatch: Dispatch, after: After, github: GitHub, archive: bytes
    ) -> None:
        github.artifacts["junit"] = archive
        execution = after(dispatch("success-5.yml", test_report="junit"), 20)
        report = Report.objects.get()
        assert (execution.status, report.counts, report.failing_tests) == (Status.SUCCESS, {}, None)
        assert report.message.startswith("The test report was left out: ")

    def test_the_page_says_what_was_left_out(
        self, dispatch: Dispatch, after: After, github: GitHub, browser: Client
    ) -> None:
        execution = after(dispatch("failure-5.yml", test_report="junit"), 20)
        page = reverse("admin:executions_execution_change", args=[execution.pk])
        assert (
            "The test report was left out: the run has no artifact named junit." in browser.get(page).content.decode()
        )
        shown = browser.get(page, headers={"Accept-Language": "ja"}).content.decode()
        assert "テストレポートは取得できませんでした: junit という名前のアーティファクトがありません。" in shown

    def test_a_summary_beside_junit_is_not_counted_again_and_other_json_is_left_out(self) -> None:
        summary = json.dumps({"passed": 3, "failed": 1, "skipped": 1})
        archive = zipped({"trace.json": b" " * (53 * 1024 * 1024), "a.xml": junit(["pays"]), "sum.json": summary})
        assert test_reports.read(archive).counts == {"passed": 3, "failed": 1, "skipped": 1}

    def test_a_test_without_a_name_is_called_so(self) -> None:
        summary = {"passed": 0, "failed": 1, "failing": [""]}
        assert test_reports.read(zipped({"a.json": json.dumps(summary)})).failing == ("unnamed",)

    @pytest.mark.parametrize(
        "summary",
        [
            {"passed": 212, "failed": 2, "skipped": 1, "failing": ["login › signs in", "login › pays"]},
            {
                "results": {
                    "summary": {"tests": 215, "passed": 212, "failed": 2, "pending": 0, "skipped": 1, "other": 0},
                    "tests": [
                        {"name": "signs in", "suite": "login", "status": "failed"},
                        {"name": "pays", "suite": ["login"], "status": "failed"},
                        {"name": "browses", "status": "passed"},
                    ],
                }
            },
        ],
        ids=["counts", "ctrf"],
    )
    def test_a_summary_as_json_counts_too(self, summary: dict[str, Any]) -> None:
        archive = zipped({"out/summary.json": json.dumps(summary), "trace.json": "[1]", "odd.json": "{", "x.txt": ""})
        read = test_reports.read(archive)
        assert read == (212, 2, 1, ("login › signs in", "login › pays"))

    @pytest.mark.parametrize(
        "odd", [{"passed": -1, "failed": 0}, {"passed": True, "failed": 0}, {"passed": 1}, {"results": 3}, [], "x",
                {"passed": 1e9, "failed": 0}, {"results": {"summary": [], "tests": {}}}], ids=str,
    )  # fmt: skip
    def test_other_json_is_no_summary(self, odd: Any) -> None:
        assert test_reports.read(zipped({"a.json": json.dumps(odd)})).counts == {"passed": 0, "failed": 0, "skipped": 0}

    def test_paths_that_climb_write_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert test_reports.read(zipped({"../../evil.xml": junit(["a"])})).failed == 1
        assert list(tmp_path.iterdir()) == []

    def test_markup_in_names_is_text(self) -> None:
        tests = test_reports.read(zipped({"a.xml": junit(["&lt;script&gt;alert(1)&lt;/script&gt;"])}))
        assert tests.failing == ("login.spec.ts › <script>alert(1)</script>",)

    def test_a_test_that_ran_again_counts_by_its_last_run(self) -> None:
        text = '<testsuite><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>'
        assert test_reports.read(zipped({"a.xml": text})).counts == {"passed": 1, "failed": 0, "skipped": 0}


def test_a_run_of_another_repositorys_name_is_followed(dispatch: Dispatch, after: After, github: GitHub) -> None:
    execution = dispatch("success-30.yml")
    github.renamed["acme/shop"] = "acme/new"
    next(iter(github.runs.values())).repository = "acme/new"
    execution = after(execution, 60)
    assert (execution.status, "acme/new" in execution.run_url) == (Status.SUCCESS, True)


def test_a_deleted_repository_ends_its_executions_within_minutes(
    dispatch: Dispatch, after: After, github: GitHub
) -> None:
    execution = dispatch("success-900.yml")
    github.gone.add("acme/shop")
    execution = after(execution, 240)
    assert (execution.status, execution.run_conclusion) == (Status.FAILED, "gone")


def test_messages_name_every_failed_job_with_its_annotations(
    dispatch: Dispatch, after: After, github: GitHub, settings: Any
) -> None:
    settings.MAIL_ENABLED = True
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    github.failing_jobs = ["e2e (chrome)", "e2e (firefox)", "<!here>"]
    wanted = {"enable_email_notifications": True, "notification_emails": ["qa@example.com"], "alert_slack": True}
    after(dispatch("failure-5.yml", **wanted), 20)
    notify_pending()
    mail, slack = Message.objects.get(channel="email"), Message.objects.get(channel="slack")
    for name in ("e2e (chrome)", "e2e (firefox)", "<!here>"):
        assert f"- {name} > Run Playwright\n" in mail.text
    assert "    login.spec.ts:41: Timed out 5000ms" in mail.text
    assert "e2e (firefox) &gt; Run Playwright</div>" in mail.html
    told = slack.blocks[1]["text"]["text"]
    assert "• *e2e (chrome) &gt; Run Playwright*\n    login.spec.ts:41: Timed out" in told
    assert "<!here>" not in told


class TestShown:
    """What the page of an execution and the API say about a run."""

    @pytest.fixture
    def told(self, dispatch: Dispatch, after: After, github: GitHub) -> Execution:
        github.artifacts["junit"] = zipped({"a.xml": junit(["<b>signs in</b>".replace("<", "&lt;")])})
        execution = dispatch(
            "failure-5.yml", rerun_failed_jobs=1, rerun_after_seconds=5, test_report="junit", keep_step_log=True
        )
        return after(execution, 150)

    def test_the_page_and_the_api_tell_the_same(self, told: Execution, browser: Any, api: Any) -> None:
        assert told.status == Status.FAILED
        page = browser.get(f"/admin/executions/execution/{told.pk}/change/").content.decode()
        for words in ("Attempts of the run", "e2e (chrome)", "End of the log", "line 79", "Re-run failed jobs",
                      "&lt;b&gt;signs in"):  # fmt: skip
            assert words in page
        assert "<b>signs in" not in page
        shown = api.get(f"/api/v2/executions/{told.pk}").json()["workflow_run"]
        assert [one["conclusion"] for one in shown["attempts"]] == ["failure", "failure"]
        assert (len(shown["failing_tests"]), shown["test_change"], shown["budget_wait"]) == (1, None, None)
        assert shown["step_log"].endswith("line 79")

    def test_failed_jobs_are_run_again_by_a_button(self, told: Execution, browser: Any, github: GitHub) -> None:
        page = f"/admin/executions/execution/{told.pk}/failed-again/"
        assert browser.get(page).status_code == 405
        answer = browser.post(page, follow=True)
        assert "Its failed jobs are run again" in answer.content.decode()
        assert next(iter(github.runs.values())).attempt == 3

    def test_a_repository_that_moved_is_offered(self, told: Execution, browser: Any) -> None:
        Execution.objects.filter(pk=told.pk).update(run_url="https://github.com/acme/renamed/actions/runs/7")
        page = browser.get(f"/admin/executions/execution/{told.pk}/change/").content.decode()
        assert "The repository has moved to acme/renamed" in page

    def test_a_disabled_workflow_is_enabled_by_a_button(self, dispatch: Dispatch, browser: Any, github: GitHub) -> None:
        github.states["acme/shop", "success-5.yml"] = "disabled_manually"
        execution = dispatch("success-5.yml")
        page = f"/admin/executions/execution/{execution.pk}/"
        assert "Enable the workflow" in browser.get(f"{page}change/").content.decode()
        answer = browser.post(f"{page}enable/", follow=True)
        assert ("The workflow is enabled" in answer.content.decode(), github.states) == (True, {})

    def test_a_webhooks_execution_has_none_of_it(self, make_job: Callable[..., Job], api: Any, browser: Any) -> None:
        execution = Execution.objects.create(job=make_job(), status="failed", trigger_type="manual",
                                             execution_type="webhook", target="https://x.example.com/")  # fmt: skip
        assert api.get(f"/api/v2/executions/{execution.pk}").json()["workflow_run"] is None
        page = browser.get(f"/admin/executions/execution/{execution.pk}/change/").content.decode()
        assert "Re-run failed jobs" not in page

    def test_flaky_runs_are_counted_on_the_jobs_page(self, dispatch: Dispatch, after: After, browser: Any) -> None:
        execution = after(dispatch("failure_then_success-5.yml", rerun_failed_jobs=1, rerun_after_seconds=5), 150)
        assert execution.status == Status.SUCCESS
        page = browser.get(f"/admin/jobs/job/{execution.job_id}/").content.decode()
        assert "Flaky, 30 days" in page
