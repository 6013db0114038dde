"""The evidence of an explanation in words."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.sentences import said
from executions.models import Status
from scheduler.explain import Explanation

_LABELS: dict[str, Any] = {
    "execution_id": gettext_lazy("Execution"),
    "status": gettext_lazy("Outcome"),
    "started_at": gettext_lazy("Started"),
    "completed_at": gettext_lazy("Ended"),
    "late_by_seconds": gettext_lazy("Late by"),
    "single_run": gettext_lazy("Single run"),
    "planned_by": gettext_lazy("Planned by"),
    "created_at": gettext_lazy("Created at"),
    "cron_expression": gettext_lazy("Cron expression"),
    "end_date": gettext_lazy("End date"),
    "in_force_since": gettext_lazy("In force since"),
    "window": gettext_lazy("Window"),
    "paused_by": gettext_lazy("Disabled by"),
    "closed_day": gettext_lazy("Closed day"),
    "shifted_to": gettext_lazy("Moved to"),
    "shifted_from": gettext_lazy("Moved from"),
    "next_fire_time": gettext_lazy("Next run"),
    "previous_fire_time": gettext_lazy("Run before"),
    "leader": gettext_lazy("Scheduler leads"),
}
_TIMES = ("started_at", "completed_at", "created_at", "in_force_since", "next_fire_time", "previous_fire_time",
          "shifted_from")  # fmt: skip


class Fact(NamedTuple):
    """A piece of evidence; `url`: the page about it, or ''."""

    label: str
    text: str
    url: str = ""


def facts_of(explanation: Explanation, zone: ZoneInfo) -> list[Fact]:
    """The evidence, with times in a zone."""
    return [_fact(name, value, zone) for name, value in explanation.facts.items()]


def _fact(name: str, value: Any, zone: ZoneInfo) -> Fact:
    label = str(_LABELS.get(name, name))
    if value is None:
        return Fact(label, "—")
    if name == "execution_id":
        return Fact(label, _("Open the execution"), reverse("admin:executions_execution_change", args=[value]))
    if name == "window":
        return Fact(label, value["name"], reverse("admin:windows_window_change", args=[value["id"]]))
    return Fact(label, _text(name, value, zone))


def _text(name: str, value: Any, zone: ZoneInfo) -> str:
    if name in _TIMES:
        there = dt.datetime.fromisoformat(value).astimezone(zone)
        return f"{there:%Y-%m-%d %H:%M:%S} {there.tzname()}"
    if name == "late_by_seconds":
        return f"{value} s"
    if name == "status":
        return str(Status(value).label)
    if name == "closed_day":
        return f"{value['date']} {said(value['label'])}"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
