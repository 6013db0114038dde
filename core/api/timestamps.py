"""Timestamps of the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from core.api.errors import Invalid, invalid_field


def utc_ms(moment: dt.datetime | None) -> str | None:
    """An aware UTC datetime as `2026-03-01T04:05:06.789Z` (RFC 3339); None stays None."""
    if moment is None:
        return None
    utc = moment if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC)
    return utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def local_iso(moment: dt.datetime | None, zone: dt.tzinfo) -> str | None:
    """An aware datetime with the offset of `zone`, as `2026-03-01T13:05:00+09:00`; None stays None."""
    return None if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")


@dataclass(frozen=True)
class DateRange:
    """The half-open range [start, end) of UTC instants given by `from` and `to`; None is unbounded."""

    start: dt.datetime | None
    end: dt.datetime | None

    @classmethod
    def from_query(cls, params: Mapping[str, str]) -> DateRange:
        """Read `from`, `to` and `tz` (the IANA zone of bare dates; UTC by default).

        A bare date starts at its midnight; as `to` it includes the whole day. A datetime without offset is UTC.
        Raises `Invalid date`, and `Invalid date range` unless from < to.
        """
        zone = _zone(params.get("tz") or "UTC")
        start = _instant("from", params.get("from"), zone, end_of_day=False)
        end = _instant("to", params.get("to"), zone, end_of_day=True)
        if start and end and start >= end:
            raise Invalid(
                "Invalid date range",
                "'from' must be before 'to'.",
                fields={"from": ["Must be before 'to'."]},
            )
        return cls(start, end)

    def body(self) -> dict[str, str | None]:
        """The resolved bounds as the API returns them."""
        return {"from": utc_ms(self.start), "to": utc_ms(self.end)}

    def lookup(self, field: str) -> dict[str, dt.datetime]:
        """The range as filter arguments for `field`."""
        bounds = {f"{field}__gte": self.start, f"{field}__lt": self.end}
        return {name: bound for name, bound in bounds.items() if bound is not None}


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise invalid_field(
            "tz", f"'{name[:60]}' is not a time zone. Write one such as Asia/Tokyo.", error="Invalid date"
        ) from None


def _instant(field: str, text: str | None, zone: dt.tzinfo, *, end_of_day: bool) -> dt.datetime | None:
    if not text or not text.strip():
        return None
    # A client that does not encode the '+' of an offset sends a space.
    text = text.strip().replace(" ", "+") if "T" in text else text.strip()
    try:
        if len(text) == 10:
            day = dt.date.fromisoformat(text)
            if end_of_day:
                day += dt.timedelta(days=1)
            return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise invalid_field(
            field,
            f"'{text[:40]}' is not a date. Write YYYY-MM-DD or an ISO 8601 datetime.",
            error="Invalid date",
        ) from None


def zone_name() -> str:
    """The short name of the scheduler's zone now, such as JST."""
    return timezone.now().astimezone(settings.SCHEDULER_ZONE).tzname() or str(settings.SCHEDULER_ZONE)
