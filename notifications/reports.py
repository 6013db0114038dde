"""The daily digest and the weekly report for users whose preferences ask for them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from executions.models import Status
from executions.statistics import queries, rollups
from jobs.models import Job, today
from notifications.languages import Languages
from notifications.models import Channel, Message
from settings_app.models import Preferences

_LISTED = 20


def send_daily() -> int:
    """Queue the digest of the last day, once a day for each user who wants it; returns how many."""
    return _queue("daily_digest", "daily", f"{today()}", dt.timedelta(days=1))


def send_weekly() -> int:
    """Queue the report of the last week, once a week for each user who wants it; returns how many."""
    year, week, _day = today().isocalendar()
    return _queue("weekly_report", "weekly", f"{year}-W{week:02}", dt.timedelta(days=7))


def _queue(flag: str, name: str, period: str, span: dt.timedelta) -> int:
    wanting = Preferences.objects.filter(**{flag: True}, user__is_active=True).values_list("user__email", flat=True)
    addresses = sorted(wanting) if settings.MAIL_ENABLED else []
    if not addresses:
        return 0
    context, languages, made = _context(span), Languages(addresses), []
    for address in addresses:
        with languages.of(address):
            made.append(_report(name, period, address, context))
    Message.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)


def _report(name: str, period: str, address: str, context: dict[str, Any]) -> Message:
    subject = (
        _("%(count)d failed runs in the last day") if name == "daily" else _("%(count)d failed runs in the last week")
    )
    context = {**context, "title": _("The daily report") if name == "daily" else _("The weekly report")}
    return Message(
        key=f"email {name} {period} {address}",
        channel=Channel.EMAIL,
        recipient=address,
        subject=f"[Cronsched] {subject % {'count': context['failed']}}",
        text=render_to_string("notifications/report.txt", context),
        html=render_to_string("notifications/report.html", context),
    )


def _context(span: dt.timedelta) -> dict[str, Any]:
    since = timezone.now() - span
    counts = queries.total(rollups.by_hour(since).values())
    ending = Job.objects.ending_soon().select_related("pic_team")
    return {
        "succeeded": counts.get(Status.SUCCESS, 0),
        "failed": counts.get(Status.FAILED, 0),
        "unrun": counts.get(Status.MISSED, 0) + counts.get(Status.SKIPPED, 0),
        "failing": rollups.most_failing(since, _LISTED),
        "slowest": rollups.slowest(since, 5),
        "ending": list(ending.order_by("end_date", "name")[:_LISTED]),
        "link": settings.FRONTEND_BASE_URL,
        "preferences": f"{settings.FRONTEND_BASE_URL}/settings",
    }
