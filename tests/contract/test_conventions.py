"""Contract, section 1: what holds for every endpoint."""

from __future__ import annotations

import json

import pytest

from tests.support.contract import TIMESTAMP, body, make_job, ok, refused, unique
from tests.support.installation import Client, Installation

JSON = {"Content-Type": "application/json"}


def test_a_wrong_content_type_is_refused(admin: Client) -> None:
    refused(
        admin.post("/jobs", data="name=x", headers={"Content-Type": "text/plain"}),
        400,
        "Content-Type must be application/json",
    )
    refused(admin.post("/jobs", data={"name": "x"}), 400, "Content-Type must be application/json")


def test_a_charset_beside_the_content_type_is_right(admin: Client) -> None:
    answer = admin.post(
        "/jobs/validate-cron",
        data='{"expression": "* * * * *"}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert ok(answer)["valid"] is True


@pytest.mark.parametrize("text", ["{", "{'a': 1}", '{"a": NaN}', '{"a": 1e999}', '"\\ud800', "\xff"])
def test_malformed_json_is_refused(admin: Client, text: str) -> None:
    refused(admin.post("/jobs", data=text.encode("latin-1"), headers=JSON), 400, "Invalid JSON")


@pytest.mark.parametrize("text", ["[]", '[{"name": "x"}]', '"text"', "5", "true"])
def test_json_that_is_not_an_object_is_refused(admin: Client, text: str) -> None:
    answer = refused(admin.post("/jobs", data=text, headers=JSON), 400, "Invalid payload")
    assert answer["message"] == "JSON body must be an object."


def test_deep_nesting_is_refused_not_a_crash(admin: Client) -> None:
    for depth in (200, 100_000):
        answer = admin.post("/jobs", data='{"a":' * depth + "1" + "}" * depth, headers=JSON)
        assert answer.status_code == 400


@pytest.mark.parametrize("metadata", ['{"n": 1180591620717411303424}', '{"n": -99999999999999999999}'])
def test_numbers_that_cannot_be_sent_again_are_refused_and_break_no_list(admin: Client, metadata: str) -> None:
    text = json.dumps(body())[:-1] + f', "metadata": {metadata}}}'
    refused(admin.post("/jobs", data=text, headers=JSON), 400, "Invalid metadata")
    job = make_job(admin)
    refused(
        admin.post(f"/jobs/{job['id']}/execute", data=f'{{"metadata": {metadata}}}', headers=JSON),
        400,
        "Invalid payload",
    )
    ok(admin.get("/jobs"))


def test_odd_forms_are_refused_not_a_crash(anyone: Client) -> None:
    many = {f"field{n}": "x" for n in range(1100)}
    refused(anyone.post("/auth/login/form", data=many), 400, "Invalid payload")
    refused(anyone.post("/auth/login/form", data={"username": "a\x00b", "password": "x"}), 400, "Missing credentials")


def test_a_body_over_the_limit_is_refused(admin: Client) -> None:
    answer = admin.post("/jobs", data=b'{"name": "' + b"x" * 6 * 1024 * 1024 + b'"}', headers=JSON)
    assert ok(answer, 413)["error"] == "Body too large"


@pytest.mark.parametrize("path", ["/jobs/not-a-uuid", "/executions/1", "/jobs/%00", "/jobs/" + "x" * 500])
def test_an_id_that_is_no_uuid_is_unknown(admin: Client, path: str) -> None:
    assert admin.get(path).status_code == (400 if "%00" in path else 404)


def test_unknown_paths_and_wrong_methods_answer_json(admin: Client, anyone: Client) -> None:
    assert "error" in ok(anyone.get("/no/such/thing"), 404)
    answer = admin.patch("/jobs")
    assert ok(answer, 405)["error"] == "Method not allowed"
    assert "GET" in answer.headers["Allow"]


def test_a_path_without_trailing_slash_is_served_never_redirected(admin: Client) -> None:
    assert admin.get("/jobs").status_code == 200
    assert admin.get("/jobs/").status_code == 404


def test_timestamps_are_utc_with_milliseconds(admin: Client) -> None:
    job = make_job(admin)
    assert TIMESTAMP.fullmatch(job["created_at"])
    assert job["next_execution_at"].endswith("+09:00")
    assert job["end_date"] == "2099-12-31"


@pytest.mark.parametrize("name", ["enable_email_notifications", "is_active", "notify_on_success"])
@pytest.mark.parametrize("value", ["false", "true", 0, 1, []])
def test_text_is_not_taken_for_a_boolean(admin: Client, name: str, value: object) -> None:
    assert name in refused(admin.post("/jobs", json=body(**{name: value})), 400, "Invalid payload")["fields"]


def test_null_is_absent_on_create_and_clears_on_update(admin: Client) -> None:
    created = ok(admin.post("/jobs", json={**body(), "metadata": None, "category": None, "github_owner": None}), 201)[
        "job"
    ]
    assert (created["metadata"], created["category"], created["github_owner"]) == ({}, "general", None)
    ok(admin.put(f"/jobs/{created['id']}", json={"metadata": {"a": 1}}))
    assert ok(admin.put(f"/jobs/{created['id']}", json={"metadata": None}))["job"]["metadata"] == {}


def test_strings_are_trimmed_and_bounded(admin: Client) -> None:
    name = unique("trim")
    assert make_job(admin, name=f"  {name}\n")["name"] == name
    assert "name" in refused(admin.post("/jobs", json=body(name="x" * 256)), 400, "Invalid payload")["fields"]
    assert (
        "NUL"
        in refused(admin.post("/jobs", data=b'{"name": "a\\u0000b"}', headers=JSON), 400, "Invalid payload")["message"]
    )


def test_a_refused_update_changes_nothing(admin: Client) -> None:
    job = make_job(admin)
    answer = admin.put(f"/jobs/{job['id']}", json={"name": unique("new"), "metadata": {"a": 1}, "end_date": "nonsense"})
    refused(answer, 400, "Invalid end_date")
    assert ok(admin.get(f"/jobs/{job['id']}"))["job"] == job


class TestCors:
    origin = {"Origin": "https://frontend.example.com"}

    def test_headers_are_on_every_answer(self, admin: Client, anyone: Client) -> None:
        for answer in (
            anyone.get("/health", headers=self.origin),
            anyone.get("/jobs", headers=self.origin),
            anyone.get("/nowhere", headers=self.origin),
            admin.post("/jobs", json={}, headers=self.origin),
            admin.patch("/jobs", headers=self.origin),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == "*", answer.url

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_preflight(self, anyone: Client, method: str) -> None:
        asks = {
            **self.origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        answer = anyone.options("/jobs", headers=asks)
        assert answer.status_code == 200
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert {"authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/jobs", "/executions", "/pic-teams"])
def test_head_works_wherever_get_does(admin: Client, path: str) -> None:
    answer = admin.head(path)
    assert answer.status_code == 200
    assert answer.content == b""


def test_a_program_and_a_browser_find_their_way_from_the_root(installation: Installation) -> None:
    assert set(ok(installation.site.get("/"))) == {"message", "docs", "redoc", "health"}
    answer = installation.site.get("/", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_roles_decide_who_writes(admin: Client, user: Client, viewer: Client) -> None:
    mine = make_job(user)
    theirs = make_job(admin)
    assert mine["created_by"] == ok(user.get("/auth/me"))["id"]
    for client in (user, viewer):
        assert ok(client.get(f"/jobs/{theirs['id']}"))["job"]["id"] == theirs["id"]
        refused(client.put(f"/jobs/{theirs['id']}", data="not even JSON"), 403, "Insufficient permissions")
        refused(client.delete(f"/jobs/{theirs['id']}"), 403, "Insufficient permissions")
        refused(client.post(f"/jobs/{theirs['id']}/execute"), 403, "Insufficient permissions")
        refused(client.get("/scheduler/status"), 403, "Insufficient permissions")
        refused(client.post("/pic-teams", json={}), 403, "Insufficient permissions")
    refused(viewer.post("/jobs", json=body()), 403, "Insufficient permissions")
    refused(viewer.post("/jobs/test-run", json={}), 403, "Insufficient permissions")
    ok(user.put(f"/jobs/{mine['id']}", json={"metadata": {}}))
    ok(admin.put(f"/jobs/{mine['id']}", json={"metadata": {}}))
    ok(user.delete(f"/jobs/{mine['id']}"))
