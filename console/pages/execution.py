"""The page of one execution: its attempts, the request and the reply."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from core.masking import masked, masked_text
from executions.delivery.carry_out import target_of
from executions.models import Execution
from executions.targets import DeliverableTarget

_WIDTH, _ROW = 600, 26


def context(execution: Execution) -> dict[str, Any]:
    """The values of the page, except for the row itself."""
    overrides = _overrides(execution)
    metadata = overrides.get("metadata", execution.job.metadata)
    target = _target(execution)
    return {
        "timeline": timeline(execution),
        "sent": _shown_metadata(metadata),
        "sent_is_current": "metadata" not in overrides,
        "target": target.shown() if target else execution.target,
        "run_url": execution.run_url or (target.page() if target else ""),
        "received": _received(execution.output),
    }


def _shown_metadata(metadata: Any) -> str:
    try:
        return pretty(masked(metadata)) if metadata else ""
    except RecursionError:
        return "…"


def _overrides(execution: Execution) -> dict[str, Any]:
    """The overrides; none if what is stored is no object."""
    return execution.overrides if isinstance(execution.overrides, dict) else {}


def _attempts(execution: Execution) -> Iterator[tuple[dt.datetime, float, dict[str, Any]]]:
    """Each attempt with its start and seconds; entries that cannot be read are left out."""
    for one in execution.attempts if isinstance(execution.attempts, list) else ():
        try:
            yield dt.datetime.fromisoformat(one["started_at"]), float(one.get("duration_seconds") or 0), one
        except (TypeError, ValueError, KeyError):
            continue


def timeline(execution: Execution) -> dict[str, Any]:
    """The attempts as bars from the start of the first to the end of the last."""
    attempts = list(_attempts(execution))
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
            "kind": "success" if one.get("status") in range(200, 300) else "failed",
        }
        for number, (start, took, one) in enumerate(attempts, start=1)
    ]
    return {"rows": rows, "width": _WIDTH, "height": _ROW * len(rows)}


def pretty(value: Any) -> str:
    """Indented JSON; single surrogates, which JSON can contain, are shown as question marks."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


def _received(output: str) -> str:
    """The reply, indented if it is JSON."""
    try:
        return pretty(masked(json.loads(output)))
    except (ValueError, RecursionError):
        return masked_text(output)


def _target(execution: Execution) -> DeliverableTarget | None:
    """The target; None if the stored text cannot be parsed."""
    try:
        return target_of(execution)
    except ValueError:
        return None


def overrides_of(execution: Execution) -> dict[str, Any]:
    """The overrides of a repeated run: the same metadata and target, without the token of a single run."""
    overrides = _overrides(execution)
    found = {"metadata": overrides["metadata"]} if "metadata" in overrides else {}
    if "target" in overrides:
        found |= target_of(execution).as_overrides()
    return found
