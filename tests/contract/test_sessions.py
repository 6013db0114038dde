"""Contract, section 3: logging in and out."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.support.contract import ok, refused, unique
from tests.support.installation import Client, Installation

PASSWORD = "quite unguessable 7"
USER_FIELDS = {"id", "username", "email", "role", "is_active", "created_at", "updated_at"}


@pytest.fixture
def account(admin: Client) -> dict[str, Any]:
    name = unique("acc")
    sent = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "role": "user"}
    account: dict[str, Any] = ok(admin.post("/auth/register", json=sent), 201)["user"]
    return account


def login(anyone: Client, account: dict[str, Any], **sent: str) -> dict[str, Any]:
    return ok(anyone.post("/auth/login", json=sent or {"username": account["username"], "password": PASSWORD}))


def bearer(installation: Installation, token: str) -> Client:
    return Client(installation.base + "/api/v2", token)


def test_login_answers_the_user_and_two_tokens(anyone: Client, account: dict[str, Any]) -> None:
    answer = login(anyone, account)
    assert answer["success"] is True
    assert answer["message"] == "Login successful"
    assert answer["token_type"] == "bearer"
    assert set(answer["user"]) == USER_FIELDS
    claims = {
        kind: jwt.decode(answer[f"{kind}_token"], options={"verify_signature": False}) for kind in ("access", "refresh")
    }
    for kind, claim in claims.items():
        assert {"sub", "role", "email", "iat", "exp", "type", "jti"} <= set(claim)
        assert (claim["sub"], claim["type"], claim["role"]) == (account["id"], kind, "user")
    assert claims["access"]["exp"] - claims["access"]["iat"] == 3600
    assert claims["refresh"]["exp"] - claims["refresh"]["iat"] == 2592000
    assert jwt.get_unverified_header(answer["access_token"])["alg"] == "HS256"


def test_names_and_addresses_compare_without_case(anyone: Client, account: dict[str, Any]) -> None:
    login(anyone, account, username=account["username"].upper(), password=PASSWORD)
    login(anyone, account, username=account["email"].upper(), password=PASSWORD)
    login(anyone, account, email=account["email"].title(), password=PASSWORD)


def test_the_form_login_answers_the_same(anyone: Client, account: dict[str, Any]) -> None:
    answer = ok(anyone.post("/auth/login/form", data={"username": account["username"], "password": PASSWORD}))
    assert answer["user"]["id"] == account["id"]
    refused(
        anyone.post("/auth/login/form", data={"username": account["username"], "password": "no"}),
        401,
        "Invalid email/username or password",
    )


@pytest.mark.parametrize(
    "sent",
    [{}, {"username": "a"}, {"password": "a"}, {"username": "", "password": ""}, {"username": 5, "password": ["x"]}],
)
def test_a_missing_identity_or_password_is_400(anyone: Client, sent: dict[str, Any]) -> None:
    assert anyone.post("/auth/login", json=sent).status_code == 400


def test_wrong_passwords_and_unknown_accounts_are_told_alike(anyone: Client, account: dict[str, Any]) -> None:
    error = "Invalid email/username or password"
    wrong = refused(anyone.post("/auth/login", json={"username": account["username"], "password": "wrong"}), 401, error)
    unknown = refused(anyone.post("/auth/login", json={"username": unique("nobody"), "password": "wrong"}), 401, error)
    assert wrong == unknown


def test_an_inactive_account_is_told_only_with_the_right_password(
    admin: Client, anyone: Client, account: dict[str, Any]
) -> None:
    ok(admin.put(f"/auth/users/{account['id']}", json={"is_active": False}))
    right = anyone.post("/auth/login", json={"username": account["username"], "password": PASSWORD})
    refused(right, 401, "Account is inactive. Contact administrator.")
    wrong = anyone.post("/auth/login", json={"username": account["username"], "password": "wrong"})
    refused(wrong, 401, "Invalid email/username or password")


@pytest.mark.parametrize(
    "content", [{"data": "null", "headers": {"Content-Type": "application/json"}}, {"data": ""}, {"json": {}}]
)
def test_refresh_takes_an_empty_body_or_null(
    installation: Installation, anyone: Client, account: dict[str, Any], content: dict[str, Any]
) -> None:
    tokens = login(anyone, account)
    answer = ok(bearer(installation, tokens["refresh_token"]).post("/auth/refresh", **content))
    assert {key: answer[key] for key in ("refresh_token", "token_type", "expires_in")} == {
        "refresh_token": None,
        "token_type": "bearer",
        "expires_in": 3600,
    }
    assert ok(bearer(installation, answer["access_token"]).get("/auth/me"))["id"] == account["id"]


def test_logout_ends_this_logins_tokens_and_no_others(
    installation: Installation, anyone: Client, account: dict[str, Any]
) -> None:
    one, other = login(anyone, account), login(anyone, account)
    answer = ok(bearer(installation, one["access_token"]).post("/auth/logout"))
    assert (answer["success"], answer["message"]) == (True, "Logout successful")
    assert bearer(installation, one["access_token"]).get("/auth/me").status_code == 401
    assert bearer(installation, one["refresh_token"]).post("/auth/refresh").status_code == 401
    assert bearer(installation, other["access_token"]).get("/auth/me").status_code == 200


def test_verify_and_me(user: Client) -> None:
    me = ok(user.get("/auth/me"))
    assert set(me) == USER_FIELDS
    assert ok(user.get("/auth/verify")) == {
        "valid": True, "user_id": me["id"], "username": me["username"], "role": "user", "message": "Token is valid",
    }  # fmt: skip


class TestTokensThatAreRefused:
    def refuse(self, installation: Installation, header: str | None, path: str = "/auth/me") -> None:
        client = installation.anyone
        if header is not None:
            client.headers["Authorization"] = header
        answer = client.get(path)
        assert answer.status_code == 401, answer.text
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["detail"] == answer.json()["message"]

    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic YTpi", "Token abc"])
    def test_missing_and_malformed(self, installation: Installation, header: str | None) -> None:
        self.refuse(installation, header)

    def test_tampered_unsigned_and_forged(
        self, installation: Installation, anyone: Client, account: dict[str, Any]
    ) -> None:
        token = login(anyone, account)["access_token"]
        head, claims, sign = token.split(".")
        data = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"role": "admin"}
        changed = base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")
        self.refuse(installation, f"Bearer {head}.{changed}.{sign}")
        self.refuse(installation, f"Bearer {jwt.encode(data, '', algorithm='none')}")
        self.refuse(installation, f"Bearer {jwt.encode(data, 'k' * 40, algorithm='HS256')}")

    def test_the_other_kind(self, installation: Installation, anyone: Client, account: dict[str, Any]) -> None:
        tokens = login(anyone, account)
        self.refuse(installation, f"Bearer {tokens['refresh_token']}")
        assert bearer(installation, tokens["access_token"]).post("/auth/refresh").status_code == 401

    def test_the_scheme_is_read_without_case(
        self, installation: Installation, anyone: Client, account: dict[str, Any]
    ) -> None:
        client = installation.anyone
        client.headers["Authorization"] = f"bEARER {login(anyone, account)['access_token']}"
        ok(client.get("/auth/me"))

    def test_a_deactivated_account(
        self, installation: Installation, admin: Client, anyone: Client, account: dict[str, Any]
    ) -> None:
        token = login(anyone, account)["access_token"]
        ok(admin.put(f"/auth/users/{account['id']}", json={"is_active": False}))
        self.refuse(installation, f"Bearer {token}")

    def test_a_deleted_account(
        self, installation: Installation, admin: Client, anyone: Client, account: dict[str, Any]
    ) -> None:
        token = login(anyone, account)["access_token"]
        ok(admin.delete(f"/auth/users/{account['id']}"))
        self.refuse(installation, f"Bearer {token}")


def test_a_role_change_counts_at_once(
    installation: Installation, admin: Client, anyone: Client, account: dict[str, Any]
) -> None:
    client = bearer(installation, login(anyone, account)["access_token"])
    refused(client.get("/auth/users"), 403, "Insufficient permissions")
    ok(admin.put(f"/auth/users/{account['id']}", json={"role": "admin"}))
    ok(client.get("/auth/users"))
    ok(admin.put(f"/auth/users/{account['id']}", json={"role": "viewer"}))
    refused(client.get("/auth/users"), 403, "Insufficient permissions")


def test_unknown_accounts_take_as_long_as_wrong_passwords(anyone: Client, account: dict[str, Any]) -> None:
    def median(name: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            anyone.post("/auth/login", json={"username": name, "password": "wrong"})
            times.append(time.perf_counter() - started)
        return sorted(times)[2]

    known, unknown = median(account["username"]), median(unique("nobody"))
    assert 0.4 < known / unknown < 2.5
