"""What pages say of windows: the banner on every page, and pausing one job."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from jobs.models import Job
from windows.cover import Cover, Inside
from windows.models import Effect, Window
from windows.services import may_end

# The windows that a banner names.
_NAMED = 5


def open_windows(user: User) -> dict[str, Any]:
    """The windows that are open now, for the banner: those that keep every job from firing, and the others; `endable`
    are those that the user may end.
    """
    now = timezone.now()
    running = Window.objects.running(now).order_by("-is_for_all", "-starts_at", "name")[: 10 * _NAMED]
    open_now = [window for window in running if window.period_at(now)]
    return {
        "endable": [window for window in open_now if may_end(window, user)],
        "full_stops": [window for window in open_now if window.stops_all],
        "open_windows": [window for window in open_now if not window.stops_all][:_NAMED],
        "more_windows": max(0, sum(not window.stops_all for window in open_now) - _NAMED),
    }


def pause_choices() -> list[tuple[str, str]]:
    """How long a job may be paused by one click: a value, and words."""
    return [
        ("hour", _("for an hour")),
        ("morning", _("until tomorrow 09:00")),
        ("week", _("for a week")),
    ]


def until(choice: str, now: dt.datetime, zone: ZoneInfo | None = None) -> dt.datetime:
    """The end of a pause by one click, for a job in its zone; unknown choices last an hour."""
    if choice == "morning":
        zone = zone or settings.SCHEDULER_ZONE
        tomorrow = now.astimezone(zone).date() + dt.timedelta(days=1)
        return dt.datetime.combine(tomorrow, dt.time(9), zone)
    return now + (dt.timedelta(days=7) if choice == "week" else dt.timedelta(hours=1))


def words(inside: Inside) -> str:
    """Why a time inside a window does not run."""
    title = _("held by the window %(name)s") if inside.window.effect == Effect.HOLD else _("window %(name)s")
    return title % {"name": inside.window.title}


def note(job: Job, moment: dt.datetime, cover: Cover) -> str:
    """Why a coming fire time does not run; '' if it runs."""
    if moment == job.skipped_run_at:
        return _("to be skipped")
    inside = cover.inside(job, moment)
    return words(inside) if inside else ""
