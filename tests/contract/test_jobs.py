"""Contract, section 5: jobs."""

from __future__ import annotations

import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.contract import body, make_job, ok, refused, run, unique
from tests.support.installation import Client, Installation
from tests.support.target import Target

JST = ZoneInfo("Asia/Tokyo")
FIELDS = {
    "id", "name", "cron_expression", "target_url", "github_owner", "github_repo", "github_workflow_name", "metadata",
    "category",
    "end_date", "pic_team", "enable_email_notifications", "notification_emails", "notify_on_success", "created_by",
    "is_active",
    "created_at", "updated_at", "last_execution_at", "next_execution_at",
}  # fmt: skip
GITHUB = {"github_owner": "acme", "github_repo": "shop", "github_workflow_name": "nightly.yml"}


def target_of(job: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(job[name] for name in ("target_url", "github_owner", "github_repo", "github_workflow_name"))


def today() -> dt.date:
    return dt.datetime.now(JST).date()


class TestCreate:
    def test_answers_the_job(self, admin: Client) -> None:
        sent = body(metadata={"a": [1, "二"]}, category="Regression")
        answer = ok(admin.post("/jobs", json=sent), 201)
        assert answer["message"] == "Job created successfully"
        job = answer["job"]
        assert set(job) >= FIELDS
        assert job["metadata"] == {"a": [1, "二"]}
        assert job["category"] == "regression"
        assert (job["is_active"], job["last_execution_at"]) == (True, None)
        assert ok(admin.get(f"/jobs/{job['id']}"))["job"] == job

    @pytest.mark.parametrize(
        "missing", [["name"], ["cron_expression"], ["end_date"], ["name", "cron_expression", "end_date"]]
    )
    def test_required_keys(self, admin: Client, missing: list[str]) -> None:
        answer = refused(admin.post("/jobs", json=body(**dict.fromkeys(missing))), 400, "Missing required fields")
        assert answer["missing_fields"] == missing

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"name": "  "}, "Job name cannot be empty"),
            ({"cron_expression": "* * * *"}, "Invalid cron expression"),
            ({"cron_expression": "0 0 31 2 *"}, "Invalid cron expression"),
            ({"cron_expression": 5}, "Invalid cron expression"),
            ({"target_url": "hooks.example.com/x"}, "Invalid target_url"),
            ({"target_url": "ftp://hooks.example.com/x"}, "Invalid target_url"),
            ({"target_url": "http:///x"}, "Invalid target_url"),
            ({"category": "No such"}, "Invalid category"),
            ({"metadata": [1]}, "Invalid metadata"),
            ({"metadata": "{}"}, "Invalid metadata"),
            ({"notification_emails": "a@example.com"}, "Invalid notification_emails"),
            ({"notification_emails": ["not an address"]}, "Invalid notification_emails"),
            ({"end_date": ""}, "Missing required fields"),
            ({"end_date": "31.12.2099"}, "Invalid end_date"),
            ({"end_date": "2099-02-30"}, "Invalid end_date"),
            ({"end_date": "2020-01-01"}, "Invalid end_date"),
            ({"pic_team": "No such"}, "Invalid PIC team"),
            ({"pic_team": None}, "Invalid PIC team"),
            ({"target_url": None}, "Missing target configuration"),
            ({"target_url": None, "github_owner": "a", "github_repo": "b"}, "Missing target configuration"),
        ],
    )
    def test_what_is_refused(self, admin: Client, changes: dict[str, Any], error: str) -> None:
        refused(admin.post("/jobs", json=body(**changes)), 400, error)

    def test_the_first_wrong_field_in_the_contracts_order_is_told(self, admin: Client) -> None:
        wrong: dict[str, Any] = {
            "name": " ", "cron_expression": "x", "target_url": "nowhere", "category": "No", "metadata": [],
            "notification_emails": ["x"], "end_date": "x", "pic_team": "No",
        }  # fmt: skip
        right = body()
        order = [
            ("name", "Job name cannot be empty"), ("cron_expression", "Invalid cron expression"),
            ("target_url", "Invalid target_url"),
            ("category", "Invalid category"), ("metadata", "Invalid metadata"),
            ("notification_emails", "Invalid notification_emails"),
            ("end_date", "Invalid end_date"), ("pic_team", "Invalid PIC team"),
        ]  # fmt: skip
        for field, error in order:
            refused(admin.post("/jobs", json=wrong), 400, error)
            wrong[field] = right.get(field)

    def test_a_name_is_taken_once(self, admin: Client) -> None:
        name = make_job(admin)["name"]
        assert f'"{name}"' in refused(admin.post("/jobs", json=body(name=name)), 400, "Duplicate job name")["message"]

    def test_of_many_at_once_one_gets_the_name(self, admin: Client, installation: Installation) -> None:
        sent = body()
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda _: Client(admin.base, str(admin.headers["Authorization"])[7:]).post("/jobs", json=sent),
                    range(8),
                )
            )
        assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7
        assert {answer.json().get("error") for answer in answers if answer.status_code == 400} == {"Duplicate job name"}

    def test_teams_and_categories_by_name_without_case(self, admin: Client) -> None:
        job = make_job(admin, pic_team=" CONTRACT ", category="PROD/canary")
        assert (job["pic_team"], job["category"]) == ("contract", "prod-canary")
        assert make_job(admin, pic_team=None, pic_team_slug="contract")["pic_team"] == "contract"
        assert make_job(admin, category=" ")["category"] == "general"

    def test_why_a_team_is_refused_is_told(self, admin: Client) -> None:
        gone = ok(admin.post("/pic-teams", json={"name": unique("Gone"), "slack_handle": "@g"}), 201)["pic_team"]
        ok(admin.delete(f"/pic-teams/{gone['id']}"))
        told = [
            refused(admin.post("/jobs", json=body(pic_team=t)), 400, "Invalid PIC team")["message"]
            for t in ("Nobody", gone["slug"], "")
        ]
        assert [message.split(".")[0] for message in told] == [
            "Unknown PIC team",
            "PIC team is disabled",
            "PIC team is required",
        ]

    def test_mail_counts_only_while_it_is_on(self, admin: Client) -> None:
        off = make_job(admin, notification_emails=["a@example.com"], notify_on_success=True)
        assert (off["notification_emails"], off["notify_on_success"]) == ([], False)
        on = make_job(
            admin, notification_emails=["a@example.com"], notify_on_success=True, enable_email_notifications=True
        )
        assert (on["notification_emails"], on["notify_on_success"]) == (["a@example.com"], True)

    def test_today_is_a_good_end_date(self, admin: Client) -> None:
        assert make_job(admin, end_date=today().isoformat())["end_date"] == today().isoformat()

    def test_no_next_execution_after_the_end_date(self, admin: Client) -> None:
        tomorrow = today() + dt.timedelta(days=1)
        later = tomorrow + dt.timedelta(days=1)
        job = make_job(admin, cron_expression=f"0 0 {later.day} {later.month} *", end_date=tomorrow.isoformat())
        assert job["next_execution_at"] is None
        assert make_job(admin, is_active=False)["next_execution_at"] is None


class TestTarget:
    def test_a_url_decides(self, admin: Client) -> None:
        assert target_of(make_job(admin, **GITHUB)) == ("https://hooks.example.com/x", None, None, None)

    def test_a_complete_github_set(self, admin: Client) -> None:
        assert target_of(make_job(admin, target_url=None, **GITHUB)) == (None, "acme", "shop", "nightly.yml")

    def test_owner_repo_workflow_in_place_of_a_url(self, admin: Client) -> None:
        assert target_of(make_job(admin, target_url="acme/shop/build")) == (None, "acme", "shop", "build")
        refused(admin.post("/jobs", json=body(target_url="ac.me/shop/build")), 400, "Invalid target_url")

    def test_a_url_in_an_update_makes_it_a_webhook(self, admin: Client) -> None:
        job = make_job(admin, target_url=None, **GITHUB)
        changed = ok(admin.put(f"/jobs/{job['id']}", json={"target_url": "https://new.example.com/", **GITHUB}))["job"]
        assert target_of(changed) == ("https://new.example.com/", None, None, None)

    def test_a_complete_github_set_in_an_update_clears_the_url(self, admin: Client) -> None:
        job = make_job(admin)
        assert target_of(ok(admin.put(f"/jobs/{job['id']}", json=GITHUB))["job"]) == (
            None,
            "acme",
            "shop",
            "nightly.yml",
        )

    def test_an_incomplete_set_beside_a_stored_url_is_dropped(self, admin: Client) -> None:
        job = make_job(admin)
        assert target_of(ok(admin.put(f"/jobs/{job['id']}", json={"github_repo": "shop"}))["job"]) == target_of(job)

    def test_one_github_field_may_change_alone(self, admin: Client) -> None:
        job = make_job(admin, target_url=None, **GITHUB)
        assert target_of(ok(admin.put(f"/jobs/{job['id']}", json={"github_repo": "other"}))["job"])[2] == "other"

    @pytest.mark.parametrize("empty", [None, "", "  "])
    def test_the_only_target_cannot_be_cleared(self, admin: Client, empty: str | None) -> None:
        for job in (make_job(admin), make_job(admin, target_url=None, **GITHUB)):
            sent = {"target_url": empty} if job["target_url"] else {"github_owner": empty, "github_repo": empty}
            refused(admin.put(f"/jobs/{job['id']}", json=sent), 400, "Missing target configuration")
            assert ok(admin.get(f"/jobs/{job['id']}"))["job"] == job

    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://192.168.1.1/", "http://[::1]/",
            "http://[::]/", "http://0.0.0.0/",
            "http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://0xa9.254.43518/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1::a00:1]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[fe80::1%25eth0]/", "http://[fd00::1]/", "http://224.0.0.1/", "http://[ff02::1]/",
            "http://100.64.0.1/", "http://255.255.255.255/",
            "http://192.0.2.1/", "http://169.254.169.254./", "http://１６９.254.169.254/", "http://user@10.0.0.1/",
            "http://10.1/",
            "http://999.1.1.1/", "http://exa mple.com/", "http://example.com:99999/", "http://example.com:0/",
            "javascript:alert(1)", "file:///etc/passwd",
        ],
    )  # fmt: skip
    def test_addresses_that_may_not_be_called(self, admin: Client, url: str) -> None:
        job = make_job(admin)
        refused(admin.post("/jobs", json=body(target_url=url)), 400, "Invalid target_url")
        refused(admin.put(f"/jobs/{job['id']}", json={"target_url": url}), 400, "Invalid target_url")
        refused(admin.post("/jobs/test-run", json={"target_url": url}), 400, "Invalid target_url")
        refused(admin.post(f"/jobs/{job['id']}/execute", json={"target_url": url}), 400, "Invalid target_url")


class TestUpdate:
    def test_is_partial(self, admin: Client) -> None:
        job = make_job(admin, metadata={"a": 1})
        answer = ok(admin.put(f"/jobs/{job['id']}", json={"cron_expression": "5 4 * * *"}))
        assert answer["message"] == "Job updated successfully"
        keep = FIELDS - {"cron_expression", "updated_at", "next_execution_at"}
        assert {k: answer["job"][k] for k in keep} == {k: job[k] for k in keep}
        assert answer["job"]["cron_expression"] == "5 4 * * *"

    def test_unknown_jobs(self, admin: Client) -> None:
        for call in (admin.get, admin.put, admin.delete):
            unknown = str(uuid.uuid4())
            assert unknown in refused(call(f"/jobs/{unknown}"), 404, "Job not found")["message"]

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"name": ""}, "Job name cannot be empty"),
            ({"name": None}, "Job name cannot be empty"),
            ({"cron_expression": ""}, "Invalid cron expression"),
            ({"end_date": ""}, "Invalid end_date"),
            ({"end_date": None}, "Invalid end_date"),
            ({"pic_team": "No"}, "Invalid PIC team"),
            ({"category": "No"}, "Invalid category"),
            ({"is_active": "false"}, "Invalid payload"),
        ],
    )
    def test_the_same_rules(self, admin: Client, changes: dict[str, Any], error: str) -> None:
        job = make_job(admin)
        refused(admin.put(f"/jobs/{job['id']}", json=changes), 400, error)
        assert ok(admin.get(f"/jobs/{job['id']}"))["job"] == job

    def test_another_jobs_name_is_taken_its_own_is_not(self, admin: Client) -> None:
        job, other = make_job(admin), make_job(admin)
        refused(admin.put(f"/jobs/{job['id']}", json={"name": other["name"]}), 400, "Duplicate job name")
        ok(admin.put(f"/jobs/{job['id']}", json={"name": job["name"]}))

    def test_turning_mail_off_clears_its_settings(self, admin: Client) -> None:
        job = make_job(
            admin, enable_email_notifications=True, notification_emails=["a@example.com"], notify_on_success=True
        )
        changed = ok(admin.put(f"/jobs/{job['id']}", json={"enable_email_notifications": False}))["job"]
        assert (changed["notification_emails"], changed["notify_on_success"]) == ([], False)

    def test_an_unchanged_but_disabled_team_does_not_block_edits(self, admin: Client) -> None:
        team = ok(admin.post("/pic-teams", json={"name": unique("Old"), "slack_handle": "@o"}), 201)["pic_team"]
        job = make_job(admin, pic_team=team["slug"])
        ok(admin.delete(f"/pic-teams/{team['id']}"))
        ok(admin.put(f"/jobs/{job['id']}", json={"pic_team": team["slug"], "metadata": {"b": 2}}))

    def test_disable_and_enable(self, admin: Client) -> None:
        job = make_job(admin)
        off = ok(admin.put(f"/jobs/{job['id']}", json={"is_active": False}))["job"]
        assert (off["is_active"], off["next_execution_at"]) == (False, None)
        on = ok(admin.put(f"/jobs/{job['id']}", json={"is_active": True}))["job"]
        assert (on["is_active"], on["next_execution_at"]) == (True, job["next_execution_at"])

    def test_the_form_may_send_back_all_that_it_read(self, admin: Client) -> None:
        for job in (make_job(admin), make_job(admin, target_url=None, **GITHUB)):
            sent = {k: v for k, v in job.items() if k != "id"}
            again = ok(admin.put(f"/jobs/{job['id']}", json=sent))["job"]
            assert {k: again[k] for k in FIELDS - {"updated_at"}} == {k: job[k] for k in FIELDS - {"updated_at"}}


def test_a_job_past_its_end_date(admin: Client, installation: Installation) -> None:
    job = make_job(admin)
    installation.python(
        "from jobs.models import Job\n"
        f"Job.objects.filter(pk='{job['id']}').update(end_date='2024-01-01', is_active=False, next_run_at=None)"
    )
    refused(admin.put(f"/jobs/{job['id']}", json={"is_active": True}), 400, "Job expired")
    refused(admin.post(f"/jobs/{job['id']}/execute"), 400, "Job expired")
    on = ok(admin.put(f"/jobs/{job['id']}", json={"is_active": True, "end_date": "2099-01-01"}))["job"]
    assert on["is_active"] is True


def test_delete_takes_the_executions_along(admin: Client, target: Target) -> None:
    job = make_job(admin, target_url=target.url + "/ok")
    execution = run(admin, job["id"])
    answer = ok(admin.delete(f"/jobs/{job['id']}"))
    assert answer == {"message": "Job deleted successfully", "deleted_job": {"id": job["id"], "name": job["name"]}}
    refused(admin.get(f"/executions/{execution['id']}"), 404, "Execution not found")


class TestList:
    def test_is_whole_and_newest_first(self, admin: Client) -> None:
        first, second = make_job(admin), make_job(admin)
        answer = ok(admin.get("/jobs"))
        assert answer["count"] == len(answer["jobs"])
        ids = [job["id"] for job in answer["jobs"]]
        assert ids.index(second["id"]) < ids.index(first["id"])
        assert set(answer) == {"count", "jobs"}

    def test_pages_search_and_order_for_clients_that_ask(self, admin: Client) -> None:
        word = unique("find")
        names = [make_job(admin, name=f"{word} {n}")["name"] for n in "cab"]
        page = ok(admin.get("/jobs", params={"search": word, "ordering": "name", "page": 1, "limit": 2}))
        assert [job["name"] for job in page["jobs"]] == sorted(names)[:2]
        assert (page["total"], page["page"], page["limit"], page["total_pages"]) == (3, 1, 2, 2)
        assert ok(admin.get("/jobs", params={"search": word, "category": "refund"}))["jobs"] == []
        assert admin.get("/jobs", params={"page": "0"}).status_code == 400
        assert admin.get("/jobs", params={"page": "99999"}).json()["jobs"] == []

    def test_a_missing_field_hides_no_wrong_one(self, admin: Client) -> None:
        sent = {"cron_expression": "99 * * * *", "end_date": "never", "target_url": "ftp://x"}
        answer = refused(admin.post("/jobs", json=sent), 400, "Missing required fields")
        assert answer["missing_fields"] == ["name"]
        assert {"name", "cron_expression", "end_date", "target_url", "pic_team"} <= set(answer["fields"])

    @pytest.mark.parametrize(
        "name", ["is_active", "category", "pic_team", "created_by", "last_status", "ordering", "page", "limit"]
    )
    def test_an_unknown_value_of_a_filter_is_refused(self, admin: Client, name: str) -> None:
        answer = admin.get("/jobs", params={name: "no-such"})
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == [name]

    def test_an_unchanged_list_is_answered_304(self, admin: Client) -> None:
        make_job(admin)
        etag = admin.get("/jobs").headers["ETag"]
        again = admin.get("/jobs", headers={"If-None-Match": etag})
        # Where a minute has begun in between, next fire times have moved on.
        assert again.status_code == 304 or again.headers["ETag"] != etag
        make_job(admin)
        changed = admin.get("/jobs", headers={"If-None-Match": etag})
        assert changed.status_code == 200

    def test_it_is_compressed(self, admin: Client) -> None:
        for _ in range(3):
            make_job(admin)
        assert admin.get("/jobs", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"

    def test_pages_neither_repeat_nor_omit_jobs_that_are_alike(self, admin: Client) -> None:
        word = unique("alike")
        ids = {make_job(admin, name=f"{word} {n}")["id"] for n in range(10)}
        for ordering in ("next_execution_at", "-next_execution_at", "last_execution_at", "-end_date"):
            pages = [
                ok(admin.get("/jobs", params={"search": word, "ordering": ordering, "limit": 3, "page": n}))
                for n in range(1, 5)
            ]
            assert {job["id"] for page in pages for job in page["jobs"]} == ids


class TestCron:
    def test_malformed_json_is_not_an_invalid_expression(self, admin: Client) -> None:
        answer = admin.post("/jobs/validate-cron", data="{bad", headers={"Content-Type": "application/json"})
        refused(answer, 400, "Invalid JSON")

    def test_validate(self, admin: Client) -> None:
        right = {"valid": True, "message": "Valid cron expression"}
        assert ok(admin.post("/jobs/validate-cron", json={"expression": "*/5 9-17 * * mon-fri"})) == right
        assert ok(admin.post("/jobs/validate-cron", json={"cron_expression": "@daily"})) == right
        for wrong in ({"expression": "61 * * * *"}, {"expression": ""}, {}, {"expression": None}, {"expression": 5}):
            answer = ok(admin.post("/jobs/validate-cron", json=wrong))
            assert (answer["valid"], answer["error"]) == (False, "Invalid cron expression")
            assert answer["message"]

    def test_preview(self, admin: Client) -> None:
        answer = ok(admin.post("/jobs/cron-preview", json={"expression": "0 9 * * 1"}))
        assert (answer["timezone"], answer["count"], len(answer["next_runs"])) == ("Asia/Tokyo", 5, 5)
        for run_at in answer["next_runs"]:
            moment = dt.datetime.fromisoformat(run_at)
            assert run_at.endswith("09:00:00+09:00")
            assert moment.isoweekday() == 1
        assert ok(admin.post("/jobs/cron-preview", json={"expression": "* * * * *", "count": 50}))["count"] == 20
        for wrong in (
            {"expression": "x"},
            {"expression": "* * * * *", "count": 0},
            {"expression": "* * * * *", "count": "x"},
        ):
            assert admin.post("/jobs/cron-preview", json=wrong).status_code == 400

    def test_description(self, admin: Client) -> None:
        assert "09:00" in ok(admin.post("/jobs/cron-description", json={"expression": "0 9 * * 1"}))["description"]
        refused(admin.post("/jobs/cron-description", json={"expression": "x"}), 400, "Invalid cron expression")


class TestTestRun:
    def test_posts_what_a_run_would_send_and_stores_nothing(self, admin: Client, target: Target) -> None:
        before = ok(admin.get("/executions"))["total"]
        answer = ok(admin.post("/jobs/test-run", json={"target_url": target.url + "/ok", "metadata": {"a": 1}}))
        assert (answer["ok"], answer["type"], answer["status_code"]) == (True, "webhook", 200)
        assert answer["message"]
        assert (target.arrivals[0].method, target.arrivals[0].json) == ("POST", {"a": 1})
        ok(admin.post("/jobs/test-run", json={"target_url": target.url + "/ok"}))
        assert (target.arrivals[1].method, target.arrivals[1].json) == ("POST", {})
        assert ok(admin.get("/executions"))["total"] == before

    def test_a_call_that_fails(self, admin: Client, target: Target) -> None:
        answer = ok(admin.post("/jobs/test-run", json={"target_url": target.url + "/reset"}))
        assert (answer["ok"], answer["type"], answer["error"]) == (False, "webhook", "Request failed")
        answer = ok(admin.post("/jobs/test-run", json={"target_url": target.url + "/hang", "timeout_seconds": 1}))
        assert answer["message"] == "timed out: no answer within 1 s"
        answer = ok(admin.post("/jobs/test-run", json={"target_url": target.url + "/status/500"}))
        assert (answer["ok"], answer["status_code"]) == (False, 500)

    def test_without_a_token(self, admin: Client) -> None:
        assert ok(admin.post("/jobs/test-run", json=GITHUB))["error"] == "GitHub token not configured"

    @pytest.mark.parametrize(
        ("sent", "error"),
        [
            ({}, "Missing target configuration"),
            ({"target_url": "nowhere"}, "Invalid target_url"),
            ({"target_url": "https://x.example.com", "metadata": []}, "Invalid metadata"),
            ({"target_url": "https://x.example.com", "timeout_seconds": 31}, "Invalid payload"),
            ({"target_url": "https://x.example.com", "timeout_seconds": "5"}, "Invalid payload"),
        ],
    )
    def test_bad_input(self, admin: Client, sent: dict[str, Any], error: str) -> None:
        refused(admin.post("/jobs/test-run", json=sent), 400, error)


class TestExecute:
    def test_answers_at_once_with_the_execution(self, admin: Client, target: Target) -> None:
        job = make_job(admin, target_url=target.url + "/sleep?s=3", metadata={"x": 1})
        answer = admin.post(f"/jobs/{job['id']}/execute")
        assert answer.elapsed.total_seconds() < 3
        found = ok(answer)
        assert (found["message"], found["job_id"]) == ("Job triggered successfully", job["id"])
        assert ok(admin.get(f"/executions/{found['execution_id']}"))["execution"]["status"] == "running"
        target.released.set()

    def test_runs_inactive_jobs(self, admin: Client, target: Target) -> None:
        job = make_job(admin, target_url=target.url + "/ok", is_active=False)
        assert run(admin, job["id"])["status"] == "success"

    def test_overrides_count_for_this_run_only(self, admin: Client, target: Target) -> None:
        job = make_job(admin, target_url=target.url + "/ok", metadata={"x": 1})
        execution = run(admin, job["id"], target_url=target.url + "/other", metadata={"y": 2})
        assert execution["target"] == target.url + "/other"
        assert (target.arrivals[0].path, target.arrivals[0].json) == ("/other", {"y": 2})
        run(admin, job["id"], target_url=" ")
        assert (target.arrivals[1].path, target.arrivals[1].json) == ("/ok", {"x": 1})
        assert ok(admin.get(f"/jobs/{job['id']}"))["job"]["metadata"] == {"x": 1}

    @pytest.mark.parametrize(
        "sent",
        [
            {"metadata": "x"},
            {"metadata": []},
            {"dispatch_url": "nonsense"},
            {"github_repo": 5},
            {"github_token": ["x"]},
        ],
    )
    def test_bad_overrides(self, admin: Client, sent: dict[str, Any]) -> None:
        job = make_job(admin, target_url=None, **GITHUB)
        refused(admin.post(f"/jobs/{job['id']}/execute", json=sent), 400, "Invalid payload")

    def test_unknown(self, admin: Client) -> None:
        refused(admin.post(f"/jobs/{uuid.uuid4()}/execute"), 404, "Job not found")


def test_what_is_probably_not_meant_is_told(admin: Client) -> None:
    page = "https://github.com/o/r/actions/workflows/ci.yml"
    answer = ok(admin.post("/jobs", json=body(target_url=page)), 201)
    assert answer["warnings"] == [
        "The URL is a page of GitHub Actions, and a call of it starts nothing: choose the target GitHub Actions."
    ]
    changes = {"target_url": None, "github_owner": "o", "github_repo": "r", "github_workflow_name": "ci.yml"}
    assert ok(admin.put(f"/jobs/{answer['job']['id']}", json=changes))["warnings"] == []
