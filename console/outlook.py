"""Coming times of a schedule as the form and the page of a job show them."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from core.sentences import said
from jobs.schedules.schedule import Outlook, Schedule


def row(one: Outlook, schedule: Schedule, note: str = "", *, kept_from: str = "") -> dict[str, Any]:
    """A time in the schedule's zone, whether it runs, and what else is to be known of it. `kept_from`: why it does not
    run, but for closed days.
    """
    if not one.runs:
        note = said(one.reason)
    elif kept_from:
        note = kept_from
    elif one.nominal:
        moved = _("moved from %(day)s") % {"day": f"{one.nominal.astimezone(schedule.zone):%m-%d}"}
        note = f"{moved}, {note}" if note else moved
    return {
        "time": local(one.moment, schedule.zone),
        "runs": one.runs and not kept_from,
        "note": note,
    }


def local(moment: dt.datetime, zone: ZoneInfo) -> str:
    """A time with its day of the week, in a zone."""
    there = moment.astimezone(zone)
    return f"{there:%Y-%m-%d} ({date_format(there, 'D')}) {there:%H:%M} {there.tzname()}"
