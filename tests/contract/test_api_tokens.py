"""Personal API tokens over real HTTP: shown once, limited by scope, owner and time."""

from __future__ import annotations

from tests.support.contract import ok, refused
from tests.support.installation import Client, Installation


def made(client: Client, name: str, **fields: object) -> tuple[str, dict[str, object]]:
    answer = ok(client.post("/auth/tokens", json={"name": name, **fields}), 201)
    return str(answer["token"]), answer["details"]


def with_token(installation: Installation, token: str) -> Client:
    return Client(installation.base + "/api/v2", token)


def test_a_token_reads_and_with_the_scope_writes(admin: Client, installation: Installation) -> None:
    raw, details = made(admin, "reader")
    assert set(details) == {"id", "name", "scope", "beginning", "created_at", "expires_at", "last_used_at"}
    reader = with_token(installation, raw)
    assert ok(reader.get("/auth/me"))["username"] == "admin"
    body = {"name": "By token", "slack_handle": "@x"}
    refused(reader.post("/pic-teams", json=body), 403, "Insufficient permissions")
    writer = with_token(installation, made(admin, "writer", scope="write", expires_in_days=1)[0])
    assert writer.post("/pic-teams", json=body).status_code in {201, 409}
    for call in (
        writer.post("/auth/tokens", json={"name": "more"}),
        writer.post("/auth/logout"),
        writer.post("/auth/register", json={}),
        writer.post("/auth/refresh"),
    ):
        assert call.status_code in {401, 403}
    listed = ok(admin.get("/auth/tokens"))["tokens"]
    assert {one["name"] for one in listed} >= {"reader", "writer"}
    assert all(raw not in str(one) for one in listed)
    assert next(one for one in listed if one["name"] == "reader")["last_used_at"]


def test_what_its_owner_may_not_do_it_may_not(installation: Installation) -> None:
    viewer = installation.user("viewer")
    token = with_token(installation, made(viewer, "v", scope="write")[0])
    refused(token.post("/pic-teams", json={"name": "x", "slack_handle": "@x"}), 403, "Insufficient permissions")
    assert token.get("/jobs").status_code == 200


def test_a_revoked_or_expired_one_works_no_more(admin: Client, installation: Installation) -> None:
    raw, details = made(admin, "short")
    refused(installation.user("viewer").delete(f"/auth/tokens/{details['id']}"), 404, "Token not found")
    installation.python(
        "from accounts.models import ApiToken; from django.utils import timezone\n"
        "ApiToken.objects.filter(name='short').update(expires_at=timezone.now())"
    )
    refused(with_token(installation, raw).get("/jobs"), 401, "Invalid token")
    assert ok(admin.delete(f"/auth/tokens/{details['id']}"))["message"] == "Token revoked."
    refused(with_token(installation, raw).get("/jobs"), 401, "Invalid token")
    refused(with_token(installation, "csk_unknown").get("/jobs"), 401, "Invalid token")


def test_it_is_stored_as_a_digest_only(admin: Client, installation: Installation) -> None:
    raw, _ = made(admin, "kept")
    stored = installation.python("from accounts.models import ApiToken; print(list(ApiToken.objects.values()))")
    assert "kept" in stored
    assert raw not in stored


def test_bad_fields_are_named(admin: Client) -> None:
    for body, field in [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x", "scope": "all"}, "scope"),
        ({"name": "x", "expires_in_days": 0}, "expires_in_days"),
        ({"name": "x", "expires_in_days": "9"}, "expires_in_days"),
    ]:
        answer = admin.post("/auth/tokens", json=body)
        refused(answer, 400, "Invalid payload")
        assert list(answer.json()["fields"]) == [field]
    made(admin, "twice")
    refused(admin.post("/auth/tokens", json={"name": "twice"}), 409, "Duplicate token name")
