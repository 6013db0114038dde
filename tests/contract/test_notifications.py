"""Contract, section 8: notifications, each user their own."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from tests.contract.test_users import client_of, register
from tests.support.contract import make_job, ok, refused, run, unique
from tests.support.installation import Client, Installation
from tests.support.target import Target, wait_until

FIELDS = {
    "id",
    "user_id",
    "title",
    "message",
    "type",
    "related_job_id",
    "related_execution_id",
    "is_read",
    "read_at",
    "created_at",
}


@pytest.fixture
def fresh(installation: Installation, admin: Client) -> Client:
    """A viewer whose account was just made: nothing to read yet."""
    return client_of(installation, register(admin))


def inbox(client: Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(client.get("/notifications", params={"per_page": 100, **query}))["notifications"]
    return found


def about(client: Client, job: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Titles, messages and types that name a job, oldest first."""
    return [
        (n["title"], n["message"], n["type"]) for n in reversed(inbox(client)) if f'"{job["name"]}"' in n["message"]
    ]


def unread(client: Client, **query: Any) -> int:
    return int(ok(client.get("/notifications/unread-count", params=query))["unread_count"])


def test_what_is_told_of_changes(admin: Client, user: Client, fresh: Client) -> None:
    job = make_job(user)
    who = ok(user.get("/auth/me"))["email"]
    boss = ok(admin.get("/auth/me"))["email"]
    ok(admin.put(f"/jobs/{job['id']}", json={"metadata": {"a": 1}}))
    ok(admin.put(f"/jobs/{job['id']}", json={"is_active": False, "metadata": {}}))
    ok(user.put(f"/jobs/{job['id']}", json={"is_active": True}))
    ok(user.put(f"/jobs/{job['id']}", json={"is_active": True}))
    ok(user.delete(f"/jobs/{job['id']}"))
    name = f'Job "{job["name"]}"'
    assert about(fresh, job) == [
        ("New Job Created", f"{name} was created by {who}.", "info"),
        ("Job Updated", f"{name} was updated by {boss}.", "info"),
        ("Job Disabled", f"{name} was disabled by {boss}.", "warning"),
        ("Job Enabled", f"{name} was enabled by {who}.", "info"),
        ("Job Updated", f"{name} was updated by {who}.", "info"),
        ("Job Deleted", f"{name} was deleted by {who}.", "warning"),
    ]
    assert {n["related_job_id"] for n in inbox(fresh) if name in n["message"]} == {None}


def test_what_is_told_of_outcomes(admin: Client, fresh: Client, target: Target) -> None:
    job = make_job(admin, target_url=target.url + "/ok")
    run(admin, job["id"])
    failed = run(admin, job["id"], target_url=target.url + "/status/503")
    name = f'Job "{job["name"]}"'
    wait_until(lambda: len(about(fresh, job)) == 3, 5)
    assert about(fresh, job)[1:] == [
        ("Job Completed", f"{name} completed successfully.", "success"),
        ("Job Failed", f"{name} failed: Webhook returned status 503", "error"),
    ]
    newest = inbox(fresh)[0]
    assert set(newest) == FIELDS
    assert (newest["related_job_id"], newest["related_execution_id"]) == (job["id"], failed["id"])
    assert newest["user_id"] == ok(fresh.get("/auth/me"))["id"]
    ok(admin.delete(f"/jobs/{job['id']}"))
    gone = next(n for n in inbox(fresh) if n["id"] == newest["id"])
    assert (gone["related_job_id"], gone["related_execution_id"]) == (None, None)


def test_a_user_sees_the_events_since_their_account_was_made(admin: Client, installation: Installation) -> None:
    make_job(admin)
    assert inbox(client_of(installation, register(admin))) == []


def test_pages(admin: Client, fresh: Client) -> None:
    for _ in range(3):
        make_job(admin)
    page = ok(fresh.get("/notifications", params={"per_page": 2, "page": 2}))
    assert {k: page[k] for k in ("total", "page", "per_page", "total_pages")} == {
        "total": 3,
        "page": 2,
        "per_page": 2,
        "total_pages": 2,
    }
    assert len(page["notifications"]) == 1
    assert ok(fresh.get("/notifications", params={"per_page": 1000}))["per_page"] == 100
    assert fresh.get("/notifications", params={"per_page": 0}).status_code == 400
    assert fresh.get("/notifications", params={"page": "x"}).status_code == 400
    refused(fresh.get("/notifications", params={"from": "x"}), 400, "Invalid date")


def test_ranges(admin: Client, fresh: Client) -> None:
    make_job(admin)
    today = dt.datetime.now(dt.UTC).date()
    tomorrow = (today + dt.timedelta(days=1)).isoformat()
    assert unread(fresh, **{"from": tomorrow}) == 0
    assert unread(fresh, to=today.isoformat()) == 1
    answer = ok(fresh.get("/notifications", params={"from": tomorrow}))
    assert (answer["total"], answer["range"]) == (0, {"from": f"{tomorrow}T00:00:00.000Z", "to": None})


def test_reading_one_keeps_its_first_time(admin: Client, fresh: Client, viewer: Client) -> None:
    make_job(admin)
    one = inbox(fresh)[0]
    assert (one["is_read"], one["read_at"], unread(fresh)) == (False, None, 1)
    answer = ok(fresh.put(f"/notifications/{one['id']}/read"))
    assert answer["message"] == "Notification marked as read"
    read_at = answer["notification"]["read_at"]
    assert (answer["notification"]["is_read"], unread(fresh)) == (True, 0)
    assert ok(fresh.put(f"/notifications/{one['id']}/read"))["notification"]["read_at"] == read_at
    ok(fresh.put("/notifications/read-all"))
    assert inbox(fresh)[0]["read_at"] == read_at
    assert inbox(fresh, unread_only="true") == []
    assert next(n for n in inbox(viewer) if n["id"] == one["id"])["is_read"] is False


def test_reading_all(admin: Client, fresh: Client) -> None:
    make_job(admin)
    make_job(admin)
    assert ok(fresh.put("/notifications/read-all")) == {
        "message": "All notifications marked as read",
        "updated_count": 2,
    }
    first = inbox(fresh)[0]["read_at"]
    assert first is not None
    assert ok(fresh.put("/notifications/read-all"))["updated_count"] == 0
    make_job(admin)
    assert unread(fresh) == 1
    assert ok(fresh.put("/notifications/read-all"))["updated_count"] == 1
    times = [n["read_at"] for n in inbox(fresh)]
    assert times[1] == times[2] == first
    assert times[0] > first


def test_deleting_one_is_each_users_own(admin: Client, fresh: Client, viewer: Client) -> None:
    make_job(admin)
    one = inbox(fresh)[0]
    assert ok(fresh.delete(f"/notifications/{one['id']}")) == {"message": "Notification deleted successfully"}
    assert (inbox(fresh), unread(fresh)) == ([], 0)
    refused(fresh.delete(f"/notifications/{one['id']}"), 404, "Notification not found")
    refused(fresh.put(f"/notifications/{one['id']}/read"), 404, "Notification not found")
    assert one["id"] in {n["id"] for n in inbox(viewer)}


def test_deleting_what_is_read(admin: Client, fresh: Client) -> None:
    for _ in range(4):
        make_job(admin)
    oldest = inbox(fresh)[-1]
    ok(fresh.put(f"/notifications/{oldest['id']}/read"))
    assert ok(fresh.delete("/notifications/delete-read")) == {"deleted_count": 1}
    assert len(inbox(fresh)) == 3
    ok(fresh.put("/notifications/read-all"))
    make_job(admin)
    middle = inbox(fresh)[2]
    assert ok(fresh.delete("/notifications/delete-read", params={"from": middle["created_at"]}))["deleted_count"] == 2
    assert [n["is_read"] for n in inbox(fresh)] == [False, True]
    tomorrow = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)).isoformat()
    assert ok(fresh.delete("/notifications/delete-read", params={"from": tomorrow}))["deleted_count"] == 0
    assert ok(fresh.delete("/notifications/delete-read"))["deleted_count"] == 1
    assert [n["is_read"] for n in inbox(fresh)] == [False]
    assert ok(fresh.get("/notifications"))["total"] == 1


def test_unknown_and_anothers(admin: Client, fresh: Client, user: Client, installation: Installation) -> None:
    for unknown in (uuid.uuid4(), "x"):
        refused(fresh.put(f"/notifications/{unknown}/read"), 404, "Notification not found")
        refused(fresh.delete(f"/notifications/{unknown}"), 404, "Notification not found")
    job = make_job(user)
    installation.python(
        "from jobs.models import Job; from jobs.services import pause_expired\n"
        f"Job.objects.filter(pk='{job['id']}').update(end_date='2024-01-01'); pause_expired()"
    )
    title = "Job auto-paused (end date passed)"
    mine = next(n for n in inbox(user) if n["title"] == title and job["name"] in n["message"])
    assert (mine["type"], "2024-01-01" in mine["message"], "Contract" in mine["message"]) == ("warning", True, True)
    assert mine["id"] in {n["id"] for n in inbox(admin)}
    assert mine["id"] not in {n["id"] for n in inbox(fresh)}
    refused(fresh.put(f"/notifications/{mine['id']}/read"), 403, "Forbidden: Cannot access other users notifications")
    refused(fresh.delete(f"/notifications/{mine['id']}"), 403, "Forbidden: Cannot delete other users notifications")
    assert ok(admin.get(f"/jobs/{job['id']}"))["job"]["is_active"] is False


def test_names_are_told_as_they_are(admin: Client, fresh: Client) -> None:
    job = make_job(admin, name=unique('<b>"quoted"</b> 日本'))
    assert inbox(fresh)[0]["message"].startswith(f'Job "{job["name"]}" was created')
