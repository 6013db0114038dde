"""Formats of the console's templates."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.contrib.admin.views.main import PAGE_VAR
from django.utils import timezone

from console import outlook
from console.pages import windows
from core.api.timestamps import zone_name
from core.masking import masked_text
from core.sentences import said
from executions.models import Status

register = template.Library()


@register.simple_tag
def zone() -> str:
    """The short name of the scheduler's zone, such as JST."""
    return zone_name()


@register.simple_tag
def zone_id() -> str:
    """The scheduler's zone, such as Asia/Tokyo."""
    return str(settings.SCHEDULER_ZONE)


@register.simple_tag
def pause_choices() -> list[tuple[str, str]]:
    """How long jobs may be paused by one click."""
    return windows.pause_choices()


@register.filter
def in_zone(moment: dt.datetime, zone: ZoneInfo) -> str:
    """A time in a job's own zone, with the zone's name."""
    return outlook.local(moment, zone)


@register.filter
def permitted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of the sidebar that the user may open."""
    return [item for item in items if item["has_permission"]]


@register.filter
def number(value: int | float | None) -> str:
    """A count with a comma between thousands: 9,170."""
    return "—" if value is None else f"{value:,}"


@register.filter
def minute(value: dt.datetime | None) -> str:
    """An instant in the scheduler's zone to the minute, with its zone."""
    return "—" if value is None else f"{timezone.localtime(value):%Y-%m-%d %H:%M %Z}"


@register.filter
def moment(value: dt.datetime | None) -> str:
    """An instant in the scheduler's zone to the second; its zone is named once on the page."""
    return "—" if value is None else f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S}"


@register.filter
def exact(value: dt.datetime | None, shape: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An instant in the scheduler's zone to the millisecond."""
    if value is None:
        return "—"
    local = timezone.localtime(value)
    return f"{local:{shape}}.{local.microsecond // 1000:03d}"


@register.filter
def chips(changes: Any) -> list[dict[str, Any]]:
    """The filters of a list: the title of each with its choices, the chosen one and the address without it."""
    found = []
    for spec in changes.filter_specs:
        choices = list(spec.choices(changes))
        chosen = next((one for one in choices[1:] if one["selected"]), None)
        found.append(
            {
                "title": spec.title,
                "choices": choices,
                "chosen": chosen["display"] if chosen else "",
                "without": changes.get_query_string(remove=spec.expected_parameters()),
            }
        )
    return found


@register.filter
def pages(changes: Any) -> list[dict[str, Any]]:
    """The pages of a list as links; `number` is '…' where some are left out."""
    shown = changes.paginator.get_elided_page_range(changes.page_num, on_each_side=2, on_ends=1)
    return [
        {
            "number": one,
            "url": changes.get_query_string({PAGE_VAR: one}) if isinstance(one, int) else "",
            "is_current": one == changes.page_num,
        }
        for one in shown
    ]


@register.filter
def svg(number: float) -> str:
    """A number for an SVG attribute, independent of the language."""
    return f"{number:g}"


@register.filter
def without_secrets(text: object) -> str:
    """Text in the page's language, in which values of secret-sounding names are masked."""
    return said(masked_text(str(text or "")))


@register.filter
def first_lines(text: object) -> str:
    """The first three lines of a reply, masked and at most 300 characters."""
    return "\n".join(masked_text(str(text or ""))[:300].splitlines()[:3])


@register.filter
def from_top(height: float, whole: float) -> str:
    """The y of a bar of this height in a drawing of `whole` height."""
    return f"{whole - height:g}"


@register.filter
def below(y: float) -> float:
    """The y of a text beside a line."""
    return y + 5


@register.filter
def times(number: int, factor: int) -> int:
    return number * factor


@register.filter
def of_day(minutes: float) -> str:
    """Minutes as a fraction of a day."""
    return f"{minutes / 14.4:.3f}%"


@register.filter
def band_height(share: float) -> str:
    """The height of a band's failed part, with a visible minimum."""
    return f"{max(2.0, 12 * share):.1f}"


@register.filter
def band_top(share: float) -> str:
    return f"{20 - max(2.0, 12 * share):.1f}"


@register.filter
def status_label(status: str) -> str:
    """An outcome in words."""
    return str(Status(status).label)


@register.filter
def milliseconds(seconds: float | None) -> str:
    """A short time: `12 ms`, `1.24 s`."""
    if seconds is None:
        return "—"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


@register.filter
def duration(seconds: float | None) -> str:
    """A duration in seconds, minutes or hours: `0.35 s`, `2 m 05 s`, `1 h 02 m`."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} m {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} m"
