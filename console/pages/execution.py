"""The page of one execution: its attempts, the request and the reply."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from audit.models import ChangeRecord
from console import records
from console.pages import exchange, report, workflow_run
from core.masking import masked, masked_text
from core.sentences import said
from executions import exchanges
from executions.delivery.carry_out import target_of
from executions.models import OPEN, BatchRun, Execution, Status
from executions.services import remedy
from executions.targets import DeliverableTarget, shown_target
from jobs.content import Content
from jobs.services import may_read_secrets, may_touch
from windows.services import inside_now

_CHANGES = 10
_WIDTH, _ROW = 600, 26


def context(execution: Execution, user: User) -> dict[str, Any]:
    """The values of the page. Up to eighteen queries."""
    job = execution.job
    is_owner = may_read_secrets(job.created_by_id, user)
    target = _target(execution)
    older, newer = _neighbours(execution)
    run = BatchRun.objects.filter(execution_id=execution.pk).select_related("batch").first()
    return {
        "execution": execution,
        "title": (title := summary(execution)),
        "heading": title.removeprefix(f"{job.name}: "),
        "is_open": execution.status in OPEN,
        "may_run": may_touch(job, user),
        "inside": inside_now(job),
        "older": older,
        "newer": newer,
        "batch": run.batch if run else None,
        "replaces": run.original_id if run else None,
        "makes_up_for": execution.nominal_for if execution.scheduled_for is None else None,
        "since_success": _since_success(execution),
        "timeline": timeline(execution),
        "work": report.context(execution, is_owner=is_owner),
        "flow": workflow_run.context(execution, user, is_owner=is_owner),
        "exchange": exchange.context(exchanges.of(execution.pk), is_owner=is_owner),
        "sent": _shown_metadata(Content.of_stored(job, _overrides(execution)).readable().metadata),
        "remedy": said(remedy(execution)),
        "target": (
            target.shown(is_owner=is_owner) if target else shown_target(execution.execution_type, execution.target)
        ),
        "run_url": execution.run_url or (target.page() if target else ""),
        "received": _received(execution.output),
    }


def summary(execution: Execution) -> str:
    """The page's title, such as "Nightly invoices: Failed, HTTP 500, 16:21"."""
    parts = [str(Status(execution.status).label)]
    if execution.response_status and execution.run_id is None:
        parts.append(f"HTTP {execution.response_status}")
    if execution.run_conclusion:
        parts.append(execution.run_conclusion)
    began = timezone.localtime(execution.scheduled_for or execution.started_at)
    shape = "%H:%M" if began.date() == timezone.localdate() else "%Y-%m-%d %H:%M"
    return f"{execution.job.name}: {', '.join([*parts, f'{began:{shape}}'])}"


def _neighbours(execution: Execution) -> tuple[Execution | None, Execution | None]:
    """The executions of the same job before and after this one."""
    here = (execution.started_at, execution.pk)
    same = Execution.objects.filter(job=execution.job_id)
    older = same.filter(Q(started_at__lt=here[0]) | Q(started_at=here[0], pk__lt=here[1])).newest_first().first()
    newer = same.filter(Q(started_at__gt=here[0]) | Q(started_at=here[0], pk__gt=here[1]))
    return older, newer.order_by("started_at", "id").first()


def _since_success(execution: Execution) -> dict[str, Any] | None:
    """For a failed execution: the last success before it, and what was changed since. None for other outcomes."""
    if execution.status != Status.FAILED:
        return None
    before = Execution.objects.filter(job=execution.job_id, started_at__lt=execution.started_at)
    success = before.filter(status=Status.SUCCESS).newest_first().first()
    changes = ChangeRecord.objects.filter(subject_id=execution.job_id, at__lte=execution.started_at)
    if success:
        changes = changes.filter(at__gt=success.started_at)
    return {"success": success, "changes": records.shown(changes[:_CHANGES]) if success else []}


def _shown_metadata(metadata: Any) -> str:
    try:
        return exchange.indented(masked(metadata)) if metadata else ""
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


def _received(output: str) -> str:
    """The reply, indented if it is JSON."""
    try:
        return exchange.indented(masked(json.loads(output)))
    except (ValueError, RecursionError):
        return masked_text(output)


def _target(execution: Execution) -> DeliverableTarget | None:
    """The target; None if the stored text cannot be parsed."""
    try:
        return target_of(execution)
    except ValueError:
        return None
