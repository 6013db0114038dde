"""Contract, section 3: users and their preferences."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.contract import make_job, ok, refused, unique
from tests.support.installation import ADMIN_PASSWORD, Client, Installation

PASSWORD = "quite unguessable 7"
FIELDS = {"id", "username", "email", "role", "is_active", "created_at", "updated_at"}


def register(admin: Client, **changes: Any) -> dict[str, Any]:
    name = unique("reg")
    sent = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, **changes}
    account: dict[str, Any] = ok(admin.post("/auth/register", json=sent), 201)["user"]
    return account


def client_of(installation: Installation, account: dict[str, Any], password: str = PASSWORD) -> Client:
    answer = ok(installation.anyone.post("/auth/login", json={"username": account["username"], "password": password}))
    return Client(installation.base + "/api/v2", answer["access_token"])


def my_id(client: Client) -> str:
    return str(ok(client.get("/auth/me"))["id"])


class TestRegister:
    def test_answers_the_user(self, admin: Client) -> None:
        name = unique("New_User")
        sent = {"username": name, "email": f"{name}@Example.COM", "password": PASSWORD}
        answer = ok(admin.post("/auth/register", json=sent), 201)
        assert (answer["success"], answer["message"]) == (True, "User created successfully")
        user = answer["user"]
        assert set(user) == FIELDS
        assert (user["username"], user["email"]) == (name.lower(), f"{name}@example.com".lower())
        assert (user["role"], user["is_active"]) == ("viewer", True)

    def test_is_for_admins(self, user: Client, viewer: Client, anyone: Client) -> None:
        for client in (user, viewer):
            refused(client.post("/auth/register", json={}), 403, "Insufficient permissions")
            refused(client.get("/auth/users"), 403, "Insufficient permissions")
        refused(anyone.post("/auth/register", json={}), 401, "Authentication required")

    def test_taken_names_and_addresses_without_case(self, admin: Client) -> None:
        taken = register(admin)
        name = unique("other")
        sent = {"username": taken["username"].upper(), "email": f"{name}@example.com", "password": PASSWORD}
        refused(admin.post("/auth/register", json=sent), 409, "Username already exists")
        sent = {"username": name, "email": taken["email"].upper(), "password": PASSWORD}
        refused(admin.post("/auth/register", json=sent), 409, "Email already exists")

    def test_of_many_at_once_one_gets_the_name(self, admin: Client) -> None:
        name = unique("race")
        sent = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        token = str(admin.headers["Authorization"])[7:]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: Client(admin.base, token).post("/auth/register", json=sent), range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"username": "ab"}, "username"), ({"username": "x" * 81}, "username"),
            ({"username": "with space"}, "username"),
            ({"username": "名前です"}, "username"), ({"username": ""}, "username"), ({"username": 5}, "username"),
            ({"email": "no address"}, "email"),
            ({"email": ""}, "email"), ({"role": "root"}, "role"), ({"is_active": "yes"}, "is_active"),
            ({"password": "short"}, "password"),
            ({"password": "password"}, "password"), ({"password": "1234567890123"}, "password"),
            ({"password": "x" * 129}, "password"),
            ({"password": None}, "password"), ({"username": "samename", "password": "samename1"}, "password"),
        ],
    )  # fmt: skip
    def test_invalid_fields_are_named(self, admin: Client, changes: dict[str, Any], field: str) -> None:
        name = unique("bad")
        sent = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, **changes}
        answer = ok(admin.post("/auth/register", json=sent), 400)
        assert list(answer["fields"]) == [field]


def test_the_list_and_single_users(admin: Client, user: Client) -> None:
    account = register(admin)
    listed = ok(admin.get("/auth/users"))
    assert listed["count"] == len(listed["users"])
    assert account in listed["users"]
    assert ok(admin.get(f"/auth/users/{account['id']}")) == {"user": account}
    mine = my_id(user)
    assert ok(user.get(f"/auth/users/{mine}"))["user"]["id"] == mine
    for other in (account["id"], str(uuid.uuid4())):
        refused(user.get(f"/auth/users/{other}"), 403, "Forbidden. You can only view your own profile.")
    for unknown in (uuid.uuid4(), "x"):
        refused(admin.get(f"/auth/users/{unknown}"), 404, "User not found")


class TestUpdate:
    def test_changes_what_is_sent_and_ignores_the_rest(self, admin: Client) -> None:
        account = register(admin)
        email = f"{unique('new')}@example.com"
        answer = ok(
            admin.put(
                f"/auth/users/{account['id']}",
                json={"email": email.upper(), "role": "user", "username": "x", "is_active": None},
            )
        )
        assert answer["message"] == "User updated successfully"
        assert sorted(answer["updated_fields"]) == ["email", "role"]
        assert (answer["user"]["email"], answer["user"]["role"], answer["user"]["username"]) == (
            email,
            "user",
            account["username"],
        )

    def test_others_may_change_themselves_but_not_their_role_or_status(
        self, installation: Installation, admin: Client
    ) -> None:
        account, other = register(admin), register(admin)
        client = client_of(installation, account)
        path = f"/auth/users/{account['id']}"
        ok(client.put(path, json={"email": f"{unique('own')}@example.com"}))
        refused(client.put(path, json={"role": "admin"}), 403, "Only admins can change user roles")
        refused(client.put(path, json={"is_active": True}), 403, "Only admins can change user active status")
        refused(
            client.put(f"/auth/users/{other['id']}", json={}), 403, "Forbidden. You can only update your own profile."
        )

    def test_a_refused_change_keeps_all(self, admin: Client) -> None:
        account = register(admin)
        path = f"/auth/users/{account['id']}"
        refused(admin.put(path, json={"email": f"{unique('n')}@example.com", "role": "root"}), 400, "Invalid role")
        refused(admin.put(path, json={"role": "user", "email": "no"}), 400, "Invalid payload")
        assert ok(admin.get(path))["user"] == account

    def test_what_is_refused(self, admin: Client) -> None:
        account, other = register(admin), register(admin)
        path = f"/auth/users/{account['id']}"
        refused(admin.put(path, json={"email": other["email"].upper()}), 409, "Email already exists")
        short = ok(admin.put(path, json={"password": "x"}), 400)
        assert "must be at least 8 characters long" in short["error"] + short["message"]
        refused(admin.put(path, json={}), 400, "No valid fields to update")
        refused(admin.put(path, json={"username": "x"}), 400, "No valid fields to update")
        refused(admin.put(f"/auth/users/{uuid.uuid4()}", json={"role": "user"}), 404, "User not found")

    def test_a_new_password_ends_the_users_other_sessions(self, installation: Installation, admin: Client) -> None:
        account = register(admin)
        one, other = client_of(installation, account), client_of(installation, account)
        ok(one.put(f"/auth/users/{account['id']}", json={"password": "another unguessable 8"}))
        ok(one.get("/auth/me"))
        assert other.get("/auth/me").status_code == 401
        client_of(installation, account, "another unguessable 8")


class TestAdminsStay:
    def test_admins_neither_demote_disable_nor_delete_themselves(
        self, installation: Installation, admin: Client
    ) -> None:
        second = client_of(installation, register(admin, role="admin"))
        path = f"/auth/users/{my_id(second)}"
        assert second.put(path, json={"role": "user"}).status_code == 400
        assert second.put(path, json={"is_active": False}).status_code == 400
        refused(second.delete(path), 400, "Cannot delete your own account")
        ok(admin.delete(path))

    def test_an_admin_may_be_demoted_while_another_stays(self, admin: Client) -> None:
        other = register(admin, role="admin")
        assert ok(admin.put(f"/auth/users/{other['id']}", json={"role": "viewer"}))["user"]["role"] == "viewer"


def test_delete_keeps_the_jobs_and_takes_the_preferences(installation: Installation, admin: Client) -> None:
    account = register(admin, role="user")
    client = client_of(installation, account)
    job = make_job(client)
    ok(client.get(f"/auth/users/{account['id']}/preferences"))
    ok(client.put("/notifications/read-all"))
    answer = ok(admin.delete(f"/auth/users/{account['id']}"))
    assert answer == {
        "message": "User deleted successfully",
        "deleted_user": {"id": account["id"], "username": account["username"]},
    }
    assert ok(admin.get(f"/jobs/{job['id']}"))["job"]["created_by"] is None
    refused(admin.delete(f"/auth/users/{account['id']}"), 404, "User not found")
    refused(admin.get(f"/auth/users/{account['id']}/preferences"), 404, "User not found")


class TestPreferences:
    defaults = {
        "email_on_job_success": True, "email_on_job_failure": True, "email_on_job_disabled": False,
        "browser_notifications": False,
        "daily_digest": False, "weekly_report": False,
    }  # fmt: skip
    columns = {
        "pic_team": True,
        "end_date": True,
        "cron_expression": False,
        "target_url": False,
        "last_execution_at": False,
    }

    def test_defaults_at_the_first_read(self, installation: Installation, admin: Client) -> None:
        account = register(admin)
        answer = ok(client_of(installation, account).get(f"/auth/users/{account['id']}/preferences"))
        assert answer["message"] == "Notification preferences retrieved successfully"
        assert set(answer["preferences"]) == {
            *self.defaults,
            "language",
            "id",
            "user_id",
            "created_at",
            "updated_at",
        }
        assert {k: answer["preferences"][k] for k in self.defaults} == self.defaults
        assert answer["preferences"]["user_id"] == account["id"]

    def test_update_is_partial_and_ignores_unknown_keys(self, admin: Client) -> None:
        path = f"/auth/users/{register(admin)['id']}/preferences"
        answer = ok(admin.put(path, json={"daily_digest": True, "id": "x", "other": 1}))
        assert answer["message"] == "Notification preferences updated successfully"
        assert answer["preferences"]["daily_digest"] is True
        assert ok(admin.put(path, json={"weekly_report": True}))["preferences"]["daily_digest"] is True
        refused(admin.put(path, json={"daily_digest": False, "weekly_report": "no"}), 400, "Invalid payload")
        assert ok(admin.get(path))["preferences"]["daily_digest"] is True

    def test_ui_preferences(self, admin: Client) -> None:
        path = f"/auth/users/{register(admin)['id']}/ui-preferences"
        assert ok(admin.get(path)) == {"preferences": {"jobs_table_columns": self.columns}}
        set_one = ok(admin.put(path, json={"jobs_table_columns": {"target_url": True, "bogus": True}}))
        assert set_one == {"preferences": {"jobs_table_columns": {**self.columns, "target_url": True}}}
        set_other = ok(admin.put(path, json={"jobs_table_columns": {"pic_team": False}}))
        assert set_other == {"preferences": {"jobs_table_columns": {**self.columns, "pic_team": False}}}
        assert ok(admin.get(path)) == set_other
        refused(admin.put(path, json={}), 400, "Missing required fields")
        refused(admin.put(path, json={"jobs_table_columns": ["x"]}), 400, "Invalid payload")

    def test_others_are_kept_out_before_anything_is_looked_up(self, admin: Client, user: Client) -> None:
        for other in (register(admin)["id"], str(uuid.uuid4())):
            refused(
                user.get(f"/auth/users/{other}/preferences"), 403, "Forbidden: Cannot access other users preferences"
            )
            refused(
                user.put(f"/auth/users/{other}/preferences", json={}),
                403,
                "Forbidden: Cannot update other users preferences",
            )
            refused(
                user.get(f"/auth/users/{other}/ui-preferences"), 403, "Forbidden: Cannot access other users preferences"
            )
            refused(
                user.put(f"/auth/users/{other}/ui-preferences", json={}),
                403,
                "Forbidden: Cannot access other users preferences",
            )
        for kind in ("preferences", "ui-preferences"):
            refused(admin.get(f"/auth/users/{uuid.uuid4()}/{kind}"), 404, "User not found")


class TestSlackSettings:
    path = "/settings/slack"

    def test_are_for_admins(self, user: Client, viewer: Client) -> None:
        for client in (user, viewer):
            refused(client.get(self.path), 403, "Insufficient permissions")
            refused(client.put(self.path, json={}), 403, "Insufficient permissions")

    def test_get_put_and_send_back(self, admin: Client, installation: Installation) -> None:
        url = "https://hooks.slack.com/services/T0/B0/secretpart"
        answer = ok(admin.put(self.path, json={"is_enabled": True, "webhook_url": f" {url} ", "channel": " #qa "}))
        assert answer["message"] == "Slack settings updated"
        shown = ok(admin.get(self.path))["slack_settings"]
        assert set(shown) == {"id", "is_enabled", "webhook_url", "channel", "created_at", "updated_at"}
        assert (shown["is_enabled"], shown["webhook_url"], shown["channel"]) == (True, url, "#qa")
        again = ok(admin.put(self.path, json=shown))["slack_settings"]
        assert {**again, "updated_at": ""} == {**shown, "updated_at": ""}
        stored = installation.python(
            "from django.db import connection\nwith connection.cursor() as cursor:\n"
            "    cursor.execute('SELECT * FROM settings_app_slacksettings'); print(cursor.fetchall())"
        )
        assert "secretpart" not in stored
        assert "#qa" in stored
        refused(admin.put(self.path, json={"webhook_url": "", "channel": "#other"}), 400, "Invalid settings")
        refused(admin.put(self.path, json={"webhook_url": "http://hooks.slack.com/x"}), 400, "Invalid settings")
        assert ok(admin.get(self.path))["slack_settings"]["channel"] == "#qa"
        off = ok(admin.put(self.path, json={"is_enabled": False, "webhook_url": " ", "channel": None}))[
            "slack_settings"
        ]
        assert (off["webhook_url"], off["channel"]) == (None, None)


def test_guessing_is_throttled_per_account_and_address_and_open_sessions_go_on(tmp_path: Any) -> None:
    limits = {"LOGIN_FAILURES_ALLOWED": "3", "LOGIN_FAILURE_WINDOW_SECONDS": "60"}
    with Installation(tmp_path, schedulers=0, env=limits) as installation:
        admin = installation.admin
        other = register(admin)
        for _ in range(3):
            refused(
                installation.anyone.post("/auth/login", json={"username": "admin", "password": "x"}),
                401,
                "Invalid email/username or password",
            )
        for password in ("x", ADMIN_PASSWORD):
            answer = installation.anyone.post("/auth/login", json={"username": "ADMIN", "password": password})
            assert ok(answer, 429)["error"] == "Too many login attempts"
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        ok(admin.get("/auth/me"))
        client_of(installation, other)
