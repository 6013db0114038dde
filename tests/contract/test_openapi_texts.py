"""The OpenAPI document explains itself."""

from __future__ import annotations

from cronsched.openapi_texts import FIELDS, SUMMARIES
from cronsched.openapi_views import openapi_document


def test_every_operation_has_a_summary_of_its_own() -> None:
    operations = [one for item in openapi_document()["paths"].values() for one in item.values()]
    assert [one["operationId"] for one in operations if not one.get("summary")] == []
    summaries = [one["summary"] for one in operations]
    assert len(set(summaries)) == len(summaries)
    assert [name for name in SUMMARIES if name not in {one["operationId"] for one in operations}] == []


def test_every_field_has_a_text() -> None:
    schemas = openapi_document()["components"]["schemas"]
    fields = {
        f"{name}.{field}": value
        for name, schema in schemas.items()
        for field, value in schema.get("properties", {}).items()
    }
    assert [name for name, value in fields.items() if "$ref" not in value and not value.get("description")] == []
    known = {name.partition(".")[2] for name in fields} | set(fields)
    assert [name for name in FIELDS if name not in known] == []


def test_the_introduction_tells_what_a_client_needs() -> None:
    text = openapi_document()["info"]["description"]
    for word in ("Tokens", "Errors", "Times", "Pages", "ETag", "Retry-After", "Idempotency-Key"):
        assert word in text
