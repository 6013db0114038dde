"""What the page of one execution shows: its attempts in time, what was sent, what came back."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

from django.conf import settings
from yarl import URL

from executions.models import Execution, ExecutionType

_WIDTH, _ROW = 600, 26
_SECRET = re.compile(r"pass|secret|token|api.?key|authorization|credential|private", re.IGNORECASE)
# `"token": "..."` and the like in text that is no whole JSON.
_SECRET_VALUE = re.compile(
    r"""(["']?[\w.-]*(?:pass|secret|token|api.?key|authorization|credential|private)[\w.-]*["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s,;&}]+)""",
    re.IGNORECASE,
)
MASK = "••••••"


def context(execution: Execution) -> dict[str, Any]:
    """Everything beside the row itself."""
    overrides = execution.overrides or {}
    metadata = overrides.get("metadata", execution.job.metadata)
    return {
        "timeline": timeline(execution),
        "sent": _shown_metadata(metadata),
        "sent_is_current": "metadata" not in overrides,
        "target": shown_target(execution.target),
        "run_url": execution.run_url or github_url(execution),
        "received": _received(execution.output),
    }


def _shown_metadata(metadata: Any) -> str:
    try:
        return pretty(masked(metadata)) if metadata else ""
    except RecursionError:
        return "…"


def timeline(execution: Execution) -> dict[str, Any]:
    """The attempts as bars from the first one's beginning to the end."""
    attempts = [
        (dt.datetime.fromisoformat(one["started_at"]), one.get("duration_seconds") or 0.0, one)
        for one in execution.attempts
        if one.get("started_at")
    ]
    if not attempts:
        return {}
    begin = attempts[0][0]
    whole = max((start - begin).total_seconds() + took for start, took, _ in attempts) or 1.0
    rows = [
        {
            "number": number,
            "started_at": start,
            "seconds": took,
            "status": one.get("status"),
            "error": one.get("error", ""),
            "wait": one.get("next_in_seconds"),
            "x": round((_WIDTH - 4) * (start - begin).total_seconds() / whole, 1),
            "y": (number - 1) * _ROW,
            "width": round(max(3.0, _WIDTH * took / whole), 1),
            "kind": "success" if one.get("status") and 200 <= one["status"] < 300 else "failed",
        }
        for number, (start, took, one) in enumerate(attempts, start=1)
    ]
    return {"rows": rows, "width": _WIDTH, "height": _ROW * len(rows)}


def masked(value: Any) -> Any:
    """A value with what its names say to be secret left out."""
    if isinstance(value, dict):
        return {name: MASK if _SECRET.search(str(name)) else masked(one) for name, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value


def pretty(value: Any) -> str:
    """Indented JSON; halves of characters, which JSON can spell, are shown as question marks."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


def _received(output: str) -> str:
    """The answer, indented if it is JSON; text as it came."""
    try:
        return pretty(masked(json.loads(output)))
    except (ValueError, RecursionError):
        return _SECRET_VALUE.sub(rf"\1{MASK}", output)


def shown_target(target: str) -> str:
    """A URL without what may be secret in it: password and query values."""
    if "://" not in target:
        return target
    try:
        url = URL(target)
    except ValueError:
        return target.partition("?")[0]
    bare = url.with_user(None)
    return str(bare.with_query(dict.fromkeys(bare.query, MASK))).replace(str(URL.build(query={"a": MASK}))[3:], MASK)


def github_url(execution: Execution) -> str:
    """The page of the dispatched workflow's runs; '' for webhooks."""
    if execution.execution_type != ExecutionType.GITHUB or execution.target.count("/") != 2:
        return ""
    owner, repo, workflow = execution.target.split("/")
    api = URL(settings.GITHUB_API_URL)
    host = "https://github.com" if api.host == "api.github.com" else f"{api.scheme}://{api.authority}"
    return f"{host}/{owner}/{repo}/actions/workflows/{workflow}"


def overrides_of(execution: Execution) -> dict[str, Any]:
    """What a run again is given: the same metadata and target; a token of a single run is not kept."""
    overrides = execution.overrides or {}
    found = {"metadata": overrides["metadata"]} if "metadata" in overrides else {}
    if "target" in overrides:
        name = "dispatch_url" if execution.execution_type == ExecutionType.GITHUB else "target_url"
        found[name] = overrides["target"]
    return found
