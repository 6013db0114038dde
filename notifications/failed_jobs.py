"""The failed jobs of a workflow run, for the messages about it: as many as its execution's page shows."""

from __future__ import annotations

from typing import NamedTuple

from core.masking import masked_text
from executions.models import Report
from executions.targets import GitHubTarget
from notifications.alert_rules import Alert, AlertKind

_TOLD = {AlertKind.FAILED, AlertKind.STILL_FAILING}


class FailedJob(NamedTuple):
    """A failed job with its first failed step, such as "e2e (chrome) > Run Playwright", and its annotations."""

    words: str
    annotations: tuple[str, ...]


def failed_jobs(alert: Alert) -> list[FailedJob]:
    """Empty for other alerts and targets, and where the reason says all of it already."""
    if alert.finished is None or alert.kind not in _TOLD or alert.finished.kind != GitHubTarget.kind:
        return []
    stored = Report.objects.filter(pk=alert.finished.execution_id).values_list("failures", flat=True).first()
    found = [
        FailedJob(
            masked_text(" > ".join(part for part in (row.get("name"), row.get("step")) if part)),
            tuple(masked_text(note) for note in row.get("annotations") or ()),
        )
        for row in stored or ()
    ]
    is_in_reason = len(found) < 2 and sum(len(one.annotations) for one in found) < 2
    return [] if is_in_reason else found
