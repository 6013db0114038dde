"""Reading the days of a calendar: lines of text, CSV (RFC 4180) and iCalendar (RFC 5545)."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.api.errors import Invalid, invalid_field

MOST_DAYS = 5_000
MOST_BYTES = 1024 * 1024
_LONGEST_EVENT_DAYS = 366
_LABEL = 100
# The first word of a line, and what follows it.
_WORD = re.compile(r"[\s,]*([^\s,]+)[\s,]*(.*)")
_OPEN = {"open": True, "closed": False, "営業日": True, "営業": True, "休業日": False, "休業": False, "休日": False}


class Day(NamedTuple):
    """A day that is listed in a calendar."""

    date: dt.date
    is_open: bool = False
    label: str = ""


def read_lines(text: str, *, field: str = "days") -> list[Day]:
    """Read a day a line, such as "2026-12-31 closed 年末年始"; "closed" may be left out. Raises `Invalid` with the line
    of the first error.
    """
    return _unique(_lines(text.splitlines(), field), field)


def read_rows(rows: Iterable[tuple[str, bool, str]], *, field: str = "days") -> list[Day]:
    """The days of rows of date, whether it is open, and label. Raises `Invalid` with the number of the first error."""
    return _unique(
        (
            Day(_date(date, f"Day {number}", field), is_open, _label(label))
            for number, (date, is_open, label) in enumerate(rows, 1)
        ),
        field,
    )


def _lines(lines: Iterable[str], field: str) -> Iterator[Day]:
    for number, line in enumerate(lines, 1):
        if found := _WORD.match(line):
            kind = _OPEN.get(kinds[1].lower()) if (kinds := _WORD.match(found[2])) else None
            label = kinds[2] if kinds and kind is not None else found[2]
            yield Day(_date(found[1], f"Line {number}", field), bool(kind), _label(label))


def _label(text: str) -> str:
    """A label on one line, without what cannot be printed or stored."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:_LABEL]


def to_lines(days: Iterable[Any]) -> str:
    """The inverse of `read_lines`."""
    return "\n".join(f"{day.date} {'open' if day.is_open else 'closed'} {day.label}".strip() for day in days)


def read_file(content: bytes, name: str, zone: ZoneInfo, *, field: str = "file") -> list[Day]:
    """Read an iCalendar file (.ics; its events of whole days are closed days) or a CSV file with the columns date, open
    or closed, label. `zone`: in which the days begin, for events with times. Raises `Invalid` with the reason.
    """
    if len(content) > MOST_BYTES:
        raise invalid_field(field, f"The file is larger than {MOST_BYTES // 1024} KiB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp932", errors="replace")
    found = _events(text, zone, field) if text.lstrip()[:15].upper() == "BEGIN:VCALENDAR" else _rows(text, field)
    return _unique(found, field)


def _rows(text: str, field: str) -> Iterator[Day]:
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (number == 1 and not cells[0][:1].isdigit()):
                # An empty row, or the titles.
                continue
            kind = _OPEN.get(cells[1].lower()) if len(cells) > 1 else None
            rest = cells[1 if kind is None else 2 :]
            yield Day(_date(cells[0], f"Row {number}", field), bool(kind), _label(rest[0] if rest else ""))
    except csv.Error as exc:
        raise invalid_field(field, f"The file is no CSV: {exc}.") from exc


def _events(text: str, zone: ZoneInfo, field: str) -> Iterator[Day]:
    # Here, because it takes 0.1 s to import, and every process imports this module.
    from icalendar import Calendar as ICalendar

    try:
        events = ICalendar.from_ical(text).walk("VEVENT")
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as exc:
        raise invalid_field(field, f"The file is no iCalendar file: {str(exc)[:100]}.") from exc
    if len(events) > MOST_DAYS:
        raise _too_many(field)
    for event in events:
        named = event.get("SUMMARY", "")
        title = _label(str(named[0] if isinstance(named, list) else named))
        if event.get("RRULE") or event.get("RDATE"):
            raise invalid_field(field, f"The event '{title[:40]}' recurs: write each of its days as an event.")
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        try:
            first, end = _whole_days(event, zone)
        except (ValueError, OverflowError) as exc:
            raise invalid_field(field, f"The event '{title[:40]}' cannot be read: {str(exc)[:100]}") from exc
        if (end - first).days > _LONGEST_EVENT_DAYS:
            raise invalid_field(field, f"The event '{title[:40]}' is longer than a year.")
        for number in range((end - first).days):
            yield Day(first + dt.timedelta(days=number), False, title)


def _whole_days(event: Any, zone: ZoneInfo) -> tuple[dt.date, dt.date]:
    """The days that an event covers, as [first, end): none if it covers a part of a day (RFC 5545 section 3.6.1). One
    without an end, or that ends on its first day, is that day. Raises `ValueError` and `OverflowError`.
    """
    start, end, length = (_value(event, name) for name in ("DTSTART", "DTEND", "DURATION"))
    if start is None:
        raise ValueError("it has no DTSTART.")
    if end is None and isinstance(length, dt.timedelta):
        end = start + length
    if not isinstance(start, dt.datetime):
        last = end if end is not None and end != start else start + dt.timedelta(days=1)
        if isinstance(last, dt.datetime) or last < start:
            raise ValueError("it ends before it begins.")
        return start, last
    midnights = [_midnight(one, zone) for one in (start, end) if isinstance(one, dt.datetime)]
    if len(midnights) < 2 or None in midnights:
        # A part of a day closes no day.
        return start.date(), start.date()
    first, last = midnights
    if last < first:  # type: ignore[operator]
        raise ValueError("it ends before it begins.")
    return first, last  # type: ignore[return-value]


def _value(event: Any, name: str) -> Any:
    """The value of a property; None if the event has none. Raises `ValueError`."""
    found = event.get(name)
    if isinstance(found, list):
        raise ValueError(f"it has several {name}.")
    value = getattr(found, "dt", None)
    if found is not None and not isinstance(value, dt.timedelta if name == "DURATION" else dt.date):
        raise ValueError(f"its {name} is no day and no time.")
    if isinstance(value, dt.datetime) and value.tzinfo is None and found.params.get("TZID"):
        raise ValueError(f"its time zone '{found.params['TZID']}' is unknown.")
    return value


def _midnight(value: dt.datetime, zone: ZoneInfo) -> dt.date | None:
    """The day that begins at a time; None if none does. Times without a zone are those of `zone`."""
    local = value.astimezone(zone) if value.tzinfo else value
    return local.date() if local.time() == dt.time() else None


def _date(text: str, where: str, field: str) -> dt.date:
    try:
        year, month, day = (int(part) for part in text.replace("/", "-").split("-"))
        found = dt.date(year, month, day)
    except ValueError:
        raise invalid_field(field, f"{where}: '{text[:40]}' is no date; write such as 2026-12-31.") from None
    if not 1990 <= found.year <= 2200:
        raise invalid_field(field, f"{where}: the year {found.year} is out of range: 1990 to 2200 are allowed.")
    return found


def _unique(days: Iterable[Day], field: str) -> list[Day]:
    """The days in order, the last entry of each date. Raises `Invalid` for too many."""
    found: dict[dt.date, Day] = {}
    for day in days:
        found[day.date] = day
        if len(found) > MOST_DAYS:
            raise _too_many(field)
    return [found[date] for date in sorted(found)]


def _too_many(field: str) -> Invalid:
    return invalid_field(field, f"A calendar has at most {MOST_DAYS} days.")
