"""Contract, section 4: categories and PIC teams."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.contract import body, make_job, ok, refused, unique
from tests.support.installation import Client

KINDS = [
    pytest.param(("/job-categories", "categories", "category", "Category", {}), id="category"),
    pytest.param(("/pic-teams", "pic_teams", "pic_team", "PIC team", {"slack_handle": "@x"}), id="team"),
]
Kind = tuple[str, str, str, str, dict[str, str]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def make(admin: Client, kind: Kind, **sent: Any) -> dict[str, Any]:
    path, _, key, _, needs = kind
    label: dict[str, Any] = ok(admin.post(path, json={"name": unique("Label"), **needs, **sent}), 201)[key]
    return label


def test_seeded_categories(viewer: Client) -> None:
    found = {c["slug"]: c["name"] for c in ok(viewer.get("/job-categories"))["categories"]}
    seeded = {
        "general": "General", "regression": "Regression", "dr-testing": "DR Testing",
        "feature-testing": "Feature Testing",
        "prod-canary": "Prod/Canary", "refund": "Refund", "backward-compatibility": "Backward Compatibility",
    }  # fmt: skip
    assert seeded.items() <= found.items()


def test_create_answers_the_object(admin: Client, kind: Kind) -> None:
    path, _, key, noun, needs = kind
    name = unique("Prod  & Canary!")
    answer = ok(admin.post(path, json={"name": name, **needs}), 201)
    assert answer["message"] == f"{noun} created"
    assert set(answer[key]) == {"id", "slug", "name", "is_active", "created_at", "updated_at", *needs}
    assert answer[key]["slug"] == "prod-canary-" + name.split("-")[1]


def test_a_slug_may_be_given(admin: Client, kind: Kind) -> None:
    slug = unique("s")
    assert make(admin, kind, slug=f"  -{slug.upper()}_!")["slug"] == slug


def test_what_create_refuses(admin: Client, kind: Kind) -> None:
    path, _, _, _, needs = kind
    refused(admin.post(path, json={"name": "  ", **needs}), 400, "Missing required fields")
    refused(admin.post(path, json=needs), 400, "Missing required fields")
    refused(admin.post(path, json={"name": "日本", **needs}), 400, "Invalid slug")
    taken = make(admin, kind)
    refused(admin.post(path, json={"name": taken["name"].upper(), **needs}), 409, "Duplicate slug")
    assert "name" in refused(admin.post(path, json={"name": "x" * 101, **needs}), 400, "Invalid payload")["fields"]
    assert "name" in refused(admin.post(path, json={"name": 5, **needs}), 400, "Invalid payload")["fields"]


def test_every_wrong_field_of_a_team_is_named(admin: Client) -> None:
    answer = admin.post("/pic-teams", json={"name": "", "slack_handle": 5})
    assert set(answer.json()["fields"]) == {"name", "slack_handle"}


def test_a_team_needs_its_slack_handle(admin: Client) -> None:
    assert refused(admin.post("/pic-teams", json={"name": unique("T")}), 400, "Missing required fields")["fields"] == {
        "slack_handle": ["Is required."]
    }
    team = make(admin, KINDS[1].values[0])  # type: ignore[arg-type]
    refused(admin.put(f"/pic-teams/{team['id']}", json={"slack_handle": " "}), 400, "Invalid slack_handle")
    assert (
        ok(admin.put(f"/pic-teams/{team['id']}", json={"slack_handle": "@new"}))["pic_team"]["slack_handle"] == "@new"
    )


def test_a_rename_takes_the_jobs_along(admin: Client, kind: Kind) -> None:
    path, _, key, noun, _ = kind
    label = make(admin, kind)
    job = make_job(admin, **{key: label["slug"]})
    new = unique("Renamed")
    etag = admin.get("/jobs").headers["ETag"]
    answer = ok(admin.put(f"{path}/{label['id']}", json={"name": new}))
    assert (answer["message"], answer["jobs_updated"], answer[key]["slug"]) == (f"{noun} updated", 1, new.lower())
    assert ok(admin.get(f"/jobs/{job['id']}"))["job"][key] == new.lower()
    assert admin.get("/jobs", headers={"If-None-Match": etag}).status_code == 200


def test_what_update_refuses(admin: Client, kind: Kind) -> None:
    path = kind[0]
    label, taken = make(admin, kind), make(admin, kind)
    refused(admin.put(f"{path}/{label['id']}", json={"name": " "}), 400, "Invalid name")
    refused(admin.put(f"{path}/{label['id']}", json={"name": taken["name"]}), 409, "Duplicate slug")
    refused(admin.put(f"{path}/{label['id']}", json={"slug": "x"}), 400, "Invalid payload")
    refused(admin.put(f"{path}/{label['id']}", json={"is_active": "no"}), 400, "Invalid payload")
    for unknown in (uuid.uuid4(), "x"):
        refused(admin.put(f"{path}/{unknown}", json={"name": "x"}), 404, "Not found")
        refused(admin.delete(f"{path}/{unknown}"), 404, "Not found")


def test_a_refused_rename_keeps_the_name(admin: Client) -> None:
    team = make(admin, KINDS[1].values[0])  # type: ignore[arg-type]
    refused(
        admin.put(f"/pic-teams/{team['id']}", json={"name": unique("N"), "slack_handle": ""}),
        400,
        "Invalid slack_handle",
    )
    listed = {t["id"]: t for t in ok(admin.get("/pic-teams"))["pic_teams"]}
    assert listed[team["id"]] == team


def test_delete_disables_and_only_admins_see_the_disabled(admin: Client, viewer: Client, kind: Kind) -> None:
    path, list_key, key, noun, _ = kind
    label = make(admin, kind)
    answer = ok(admin.delete(f"{path}/{label['id']}"))
    assert (answer["message"], answer[key]["is_active"]) == (f"{noun} disabled", False)
    assert answer["active_jobs"] == 0

    def seen(client: Client, query: str) -> bool:
        return label["id"] in {item["id"] for item in ok(client.get(path + query))[list_key]}

    assert not seen(admin, "")
    assert seen(admin, "?include_inactive=true")
    assert not seen(viewer, "?include_inactive=true")
    for client in (admin, viewer):
        refused(client.get(f"{path}?include_inactive=maybe"), 400, "Invalid include_inactive")
    refused(
        admin.post("/jobs", json=body(**{key: label["slug"]})),
        400,
        "Invalid category" if key == "category" else "Invalid PIC team",
    )
    assert ok(admin.put(f"{path}/{label['id']}", json={"is_active": True}))[key]["is_active"] is True


def test_the_list_is_ordered_by_name_without_case(admin: Client, kind: Kind) -> None:
    path, list_key, *_ = kind
    for name in ("zeta", "Alpha"):
        make(admin, kind, name=unique(name))
    names = [item["name"].lower() for item in ok(admin.get(path))[list_key]]
    assert names == sorted(names)


def test_general_is_neither_renamed_nor_disabled(admin: Client) -> None:
    general = next(c for c in ok(admin.get("/job-categories"))["categories"] if c["slug"] == "general")
    path = f"/job-categories/{general['id']}"
    refused(admin.put(path, json={"name": "Other"}), 400, "Invalid category")
    refused(admin.put(path, json={"is_active": False}), 400, "Invalid category")
    refused(admin.delete(path), 400, "Invalid category")
    assert ok(admin.put(path, json={"name": "General"}))["jobs_updated"] == 0
