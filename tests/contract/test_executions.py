"""Contract, sections 5 (delivery) and 7: executions."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.support.contract import TIMESTAMP, make_job, ok, refused, run
from tests.support.installation import Client
from tests.support.target import Target, wait_until

FIELDS = {
    "id", "job_id", "status", "trigger_type", "started_at", "completed_at", "duration_seconds", "execution_type",
    "target",
    "response_status", "error_message", "output",
}  # fmt: skip


@pytest.fixture
def history(admin: Client, target: Target) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A job with two successes and a failure, oldest first."""
    job = make_job(admin, target_url=target.url + "/ok")
    runs = [run(admin, job["id"]), run(admin, job["id"], target_url=target.url + "/status/500"), run(admin, job["id"])]
    return job, runs


class TestDelivery:
    def test_with_metadata_a_post_of_json(self, admin: Client, target: Target) -> None:
        execution = run(admin, make_job(admin, target_url=target.url + "/text?t=fine", metadata={"a": "é"})["id"])
        call = target.arrivals[0]
        assert (call.method, call.json, call.headers["Content-Type"]) == ("POST", {"a": "é"}, "application/json")
        assert call.headers["Idempotency-Key"] == execution["id"]
        assert (execution["status"], execution["response_status"], execution["output"]) == ("success", 200, "fine")
        assert (execution["error_message"], execution["execution_type"], execution["trigger_type"]) == (
            None,
            "webhook",
            "manual",
        )
        assert FIELDS | {"job_name", "github_repo", "scheduled_for", "attempts"} <= set(execution)
        assert TIMESTAMP.fullmatch(execution["started_at"])
        assert len(execution["attempts"]) == 1

    def test_without_metadata_a_get(self, admin: Client, target: Target) -> None:
        run(admin, make_job(admin, target_url=target.url + "/ok")["id"])
        assert (target.arrivals[0].method, target.arrivals[0].body) == ("GET", b"")

    @pytest.mark.parametrize("status", [201, 204, 299])
    def test_any_2xx_is_success(self, admin: Client, target: Target, status: int) -> None:
        assert run(admin, make_job(admin, target_url=f"{target.url}/status/{status}")["id"])["status"] == "success"

    @pytest.mark.parametrize("path", ["/status/404", "/status/500", "/status/302", "/redirect"])
    def test_all_else_is_failed_and_redirects_are_not_followed(self, admin: Client, target: Target, path: str) -> None:
        execution = run(admin, make_job(admin, target_url=target.url + path)["id"])
        status = 302 if path == "/redirect" else int(path[-3:])
        assert (execution["status"], execution["response_status"]) == ("failed", status)
        assert execution["error_message"] == f"Webhook returned status {status}"
        assert len(target.arrivals) == 1

    def test_no_answer_tells_the_reason(self, admin: Client, target: Target) -> None:
        execution = run(admin, make_job(admin, target_url=target.url + "/reset")["id"])
        assert (execution["status"], execution["response_status"]) == ("failed", None)
        assert "connection" in execution["error_message"]

    def test_output_is_kept_to_its_first_1000_characters(self, admin: Client, target: Target) -> None:
        execution = run(admin, make_job(admin, target_url=target.url + "/text?t=あ&n=3000")["id"])
        assert execution["output"] == "あ" * 1000

    def test_github_without_a_token(self, admin: Client) -> None:
        job = make_job(admin, target_url="acme/shop/build")
        execution = run(admin, job["id"])
        assert execution["status"] == "failed"
        assert (
            execution["error_message"]
            == f"GitHub token not configured. Cannot trigger workflow for job '{job['name']}'"
        )
        assert (execution["execution_type"], execution["target"], execution["github_repo"]) == (
            "github_actions",
            "acme/shop/build",
            "shop",
        )


class TestList:
    def test_pages_newest_first(self, admin: Client, history: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        job, runs = history
        page = ok(admin.get("/executions", params={"job_id": job["id"], "limit": 2}))
        assert [e["id"] for e in page["executions"]] == [runs[2]["id"], runs[1]["id"]]
        assert {k: page[k] for k in ("total", "page", "limit", "total_pages")} == {
            "total": 3,
            "page": 1,
            "limit": 2,
            "total_pages": 2,
        }
        assert page["executions"][0]["job_name"] == job["name"]
        assert ok(admin.get("/executions", params={"job_id": job["id"], "page": 9}))["executions"] == []

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"status": "failed"}, 1), ({"status": "failed,success"}, 3), ({"status": "nonsense"}, 0),
            ({"trigger_type": "manual"}, 3),
            ({"trigger_type": "scheduled"}, 0), ({"execution_type": "webhook"}, 3), ({"execution_type": "other"}, 0),
        ],
    )  # fmt: skip
    def test_filters(
        self, admin: Client, history: tuple[dict[str, Any], Any], query: dict[str, str], found: int
    ) -> None:
        assert ok(admin.get("/executions", params={"job_id": history[0]["id"], **query}))["total"] == found

    def test_unknown_jobs_match_nothing(self, admin: Client) -> None:
        for job_id in ("x", uuid.uuid4()):
            assert ok(admin.get("/executions", params={"job_id": str(job_id)}))["total"] == 0

    @pytest.mark.parametrize("query", ["page=0", "page=x", "limit=0", "limit=201", "limit=-1", "limit=1.5"])
    def test_bad_numbers(self, admin: Client, query: str) -> None:
        assert "error" in ok(admin.get(f"/executions?{query}"), 400)

    def test_a_range_of_dates_is_read_in_utc_unless_a_zone_is_given(
        self, admin: Client, history: tuple[dict[str, Any], Any]
    ) -> None:
        day = dt.datetime.now(dt.UTC).date()
        params = {"job_id": history[0]["id"], "from": (day - dt.timedelta(days=1)).isoformat(), "to": day.isoformat()}
        answer = ok(admin.get("/executions/statistics", params=params))
        assert answer["total_executions"] == 3
        assert answer["range"] == {
            "from": f"{params['from']}T00:00:00.000Z", "to": f"{day + dt.timedelta(days=1)}T00:00:00.000Z",
        }  # fmt: skip
        zoned = ok(admin.get("/executions/statistics", params={**params, "tz": "Asia/Tokyo"}))
        assert zoned["range"]["to"] == f"{day}T15:00:00.000Z"

    def test_to_is_exclusive(self, admin: Client, history: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        job, runs = history
        params = {"job_id": job["id"], "from": runs[0]["started_at"], "to": runs[1]["started_at"]}
        assert ok(admin.get("/executions", params=params))["total"] == 1

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("from=2026-01-02&to=2026-01-01", "Invalid date range"),
            ("from=2026-01-01T00:00:00&to=2026-01-01T00:00:00", "Invalid date range"),
            ("from=yesterday", "Invalid date"), ("to=2026-13-01", "Invalid date"),
            ("from=2026-01-01&tz=Mars/Base", "Invalid date"),
            ("to=9999-12-31", "Invalid date"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("path", ["/executions", "/executions/statistics"])
    def test_bad_ranges(self, admin: Client, path: str, query: str, error: str) -> None:
        refused(admin.get(f"{path}?{query}"), 400, error)


def test_statistics(admin: Client, history: tuple[dict[str, Any], Any]) -> None:
    answer = ok(admin.get("/executions/statistics", params={"job_id": history[0]["id"]}))
    assert {k: answer[k] for k in ("total_executions", "successful_executions", "failed_executions",
    "running_executions")} == {
        "total_executions": 3, "successful_executions": 2, "failed_executions": 1, "running_executions": 0,
    }  # fmt: skip
    assert answer["success_rate"] == pytest.approx(66.67, abs=0.01)
    assert answer["average_duration_seconds"] >= 0
    assert answer["range"] == {"from": None, "to": None}
    empty = ok(admin.get("/executions/statistics", params={"job_id": str(uuid.uuid4())}))
    assert set(empty[k] for k in empty if k != "range") == {0}


def test_one_execution(admin: Client, history: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    job, runs = history
    assert ok(admin.get(f"/executions/{runs[0]['id']}"))["execution"] == runs[0]
    refused(admin.get(f"/executions/{uuid.uuid4()}"), 404, "Execution not found")
    one = ok(admin.get(f"/jobs/{job['id']}/executions/{runs[0]['id']}"))
    assert one["job"] == {"id": job["id"], "name": job["name"]}
    assert one["execution"]["id"] == runs[0]["id"]
    refused(admin.get(f"/jobs/{uuid.uuid4()}/executions/{runs[0]['id']}"), 404, "Job not found")
    refused(admin.get(f"/jobs/{make_job(admin)['id']}/executions/{runs[0]['id']}"), 404, "Execution not found")


def test_a_jobs_executions(admin: Client, history: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    job, runs = history
    answer = ok(admin.get(f"/jobs/{job['id']}/executions", params={"limit": 1}))
    assert (answer["job_id"], answer["job_name"], answer["total_executions"]) == (job["id"], job["name"], 3)
    assert [e["id"] for e in answer["executions"]] == [runs[2]["id"]]
    assert ok(admin.get(f"/jobs/{job['id']}/executions", params={"status": "failed"}))["total_executions"] == 1
    refused(admin.get(f"/jobs/{uuid.uuid4()}/executions"), 404, "Job not found")
    assert admin.get(f"/jobs/{job['id']}/executions", params={"limit": 201}).status_code == 400


def test_a_jobs_statistics(admin: Client, history: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    job, runs = history
    answer = ok(admin.get(f"/jobs/{job['id']}/executions/stats"))
    assert answer["statistics"]["success_rate"] == 66.67
    assert {k: answer["statistics"][k] for k in ("total_executions", "success_count", "failed_count",
    "running_count")} == {
        "total_executions": 3, "success_count": 2, "failed_count": 1, "running_count": 0,
    }  # fmt: skip
    assert answer["latest_execution"]["id"] == runs[2]["id"]
    none = ok(admin.get(f"/jobs/{make_job(admin)['id']}/executions/stats"))
    assert (none["statistics"]["average_duration_seconds"], none["latest_execution"]) == (None, None)
    refused(admin.get(f"/jobs/{uuid.uuid4()}/executions/stats"), 404, "Job not found")


@pytest.mark.long
def test_a_job_made_now_fires_at_the_very_next_minute_and_is_recorded(admin: Client, target: Target) -> None:
    job = make_job(admin, cron_expression="* * * * *", target_url=target.url + "/fired")
    due = dt.datetime.fromisoformat(job["next_execution_at"])
    assert (due - dt.datetime.now(dt.UTC)).total_seconds() <= 60
    arrival = wait_until(lambda: next((a for a in target.arrivals if a.path == "/fired"), None), 70)
    assert 0 <= arrival.at - due.timestamp() < 2
    found = wait_until(
        lambda: ok(admin.get(f"/jobs/{job['id']}/executions", params={"status": "success"}))["executions"], 5
    )
    assert (found[0]["trigger_type"], dt.datetime.fromisoformat(found[0]["scheduled_for"])) == ("scheduled", due)
    after = ok(admin.get(f"/jobs/{job['id']}"))["job"]
    assert after["last_execution_at"] == found[0]["started_at"]
    ok(admin.delete(f"/jobs/{job['id']}"))
