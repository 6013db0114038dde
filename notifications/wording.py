"""Alerts in words, in the active language."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.masking import masked_text
from core.sentences import said
from notifications.alert_rules import Alert, AlertKind

# What a subject says of the job.
_VERBS: dict[AlertKind, Any] = {
    AlertKind.FAILED: gettext_lazy("failed"),
    AlertKind.STILL_FAILING: gettext_lazy("is still failing"),
    AlertKind.RECOVERED: gettext_lazy("has recovered"),
    AlertKind.SLOW: gettext_lazy("was slow"),
    AlertKind.COMPLETED: gettext_lazy("completed"),
    AlertKind.UNRUN: gettext_lazy("was missed or skipped"),
    AlertKind.WAITING: gettext_lazy("waits for an approval"),
}


def subject(alert: Alert) -> str:
    """The subject of a message that is about one alert."""
    # A line break in a subject would start another header.
    return f"{' '.join(alert.job.name.split())} {_VERBS[alert.kind]}"


def summary(alert: Alert) -> str:
    """What happened to the job, as the predicate of a sentence in one line."""
    return _WORDS[alert.kind](alert)


def local(moment: dt.datetime | None) -> str:
    """A moment in the scheduler's zone."""
    return f"{moment.astimezone(settings.SCHEDULER_ZONE):%Y-%m-%d %H:%M}" if moment else "-"


def _failed(alert: Alert) -> str:
    reason = said(masked_text(alert.finished.outcome.error)) if alert.finished else "-"
    if alert.failures < 2:
        return _("failed: %(reason)s") % {"reason": reason}
    return _("failed: %(reason)s (%(count)d failures since %(since)s)") % {
        "reason": reason,
        "count": alert.failures,
        "since": local(alert.since),
    }


def _recovered(alert: Alert) -> str:
    words = _("has recovered: it was failing for %(span)s, %(count)d runs failed")
    return words % {"span": _span(alert), "count": alert.failures}


def _still_failing(alert: Alert) -> str:
    words = _("is still failing: since %(since)s, %(count)d runs failed")
    return words % {"since": local(alert.since), "count": alert.failures}


def _unrun(alert: Alert) -> str:
    return ngettext(
        "missed or skipped %(count)d fire time; the executions say why",
        "missed or skipped %(count)d fire times; the executions say why",
        alert.failures,
    ) % {"count": alert.failures}


def _waiting(alert: Alert) -> str:
    return _("waits for an approval on GitHub since %(since)s") % {"since": local(alert.since)}


def _slow(alert: Alert) -> str:
    took = alert.finished.duration_seconds if alert.finished else None
    values = {"took": f"{took or 0:.1f}", "usual": f"{alert.usual or 0:.1f}", "limit": alert.job.slow_after_seconds}
    if alert.usual is not None:
        return _("was slow: it took %(took)s s, where its latest runs took %(usual)s s") % values
    return _("was slow: it took %(took)s s, more than %(limit)s s") % values


def _completed(alert: Alert) -> str:
    return _("completed successfully")


_WORDS = {
    AlertKind.FAILED: _failed,
    AlertKind.STILL_FAILING: _still_failing,
    AlertKind.RECOVERED: _recovered,
    AlertKind.SLOW: _slow,
    AlertKind.COMPLETED: _completed,
    AlertKind.UNRUN: _unrun,
    AlertKind.WAITING: _waiting,
}


def _span(alert: Alert) -> str:
    if not (alert.since and alert.finished):
        return "-"
    minutes = max(1, round((alert.finished.completed_at - alert.since).total_seconds() / 60))
    if minutes < 120:
        return _("%(count)d min") % {"count": minutes}
    if minutes < 48 * 60:
        return _("%(count)d h") % {"count": minutes // 60}
    return _("%(count)d days") % {"count": minutes // 1440}
