"""Write the documents that are generated from the code: OpenAPI, a Postman collection, and the notification routes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from cronsched.openapi_views import openapi_document
from notifications.routing_document import with_routes

_COLLECTION = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


class Command(BaseCommand):
    help = "Writes docs/openapi.json, docs/cronsched.postman_collection.json and the table in docs/notifications.md."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.BASE_DIR) / "docs"
        for name, content in documents(folder).items():
            (folder / name).write_text(content)
            self.stdout.write(f"docs/{name} written.")


def documents(folder: Path) -> dict[str, str]:
    """Every generated document, by its name in docs/."""
    openapi = openapi_document()
    return {
        "openapi.json": written(openapi),
        "cronsched.postman_collection.json": written(collection(openapi)),
        "notifications.md": with_routes((folder / "notifications.md").read_text()),
    }


def written(content: Any) -> str:
    """JSON in the format of the repository."""
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def collection(document: dict[str, Any]) -> dict[str, Any]:
    """A Postman collection (format 2.1): a folder for each tag, a request for each operation."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            folders.setdefault(operation["tags"][0], []).append(_request(document, path, method, operation))
    return {
        "info": {"name": document["info"]["title"], "schema": _COLLECTION},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": "host", "value": "http://localhost:5001"}, {"key": "token", "value": ""}],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _request(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    parameters = operation.get("parameters", [])
    query = [
        {"key": p["name"], "value": "", "description": p.get("description", ""), "disabled": True}
        for p in parameters
        if p["in"] == "query"
    ]
    address = path.replace("{", ":").replace("}", "")
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "url": {
            "raw": "{{host}}" + address,
            "host": ["{{host}}"],
            "path": address.strip("/").split("/"),
            "query": query,
            "variable": [{"key": p["name"], "value": ""} for p in parameters if p["in"] == "path"],
        },
    }
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        example = _example(document, content["application/json"]["schema"])
        request["header"] = [{"key": "Content-Type", "value": "application/json"}]
        request["body"] = {"mode": "raw", "raw": json.dumps(example, indent=2, ensure_ascii=False)}
    elif "multipart/form-data" in content:
        request["body"] = {"mode": "formdata", "formdata": [{"key": "file", "type": "file", "src": ""}]}
    return {"name": f"{method.upper()} {path.removeprefix('/api/v2')}", "request": request}


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """An example value of a schema."""
    if "$ref" in schema:
        return _example(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "example" in schema or "default" in schema:
        return schema.get("example", schema.get("default"))
    if "enum" in schema:
        return schema["enum"][0]
    if "allOf" in schema:
        return _example(document, schema["allOf"][0])
    kinds: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1, "string": "text", "array": []}
    if schema.get("type") == "object" or "properties" in schema:
        return {name: _example(document, inner) for name, inner in schema.get("properties", {}).items()}
    return kinds.get(str(schema.get("type")))
