"""Reading the days of a calendar: lines of text, CSV (RFC 4180) and iCalendar (RFC 5545)."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from core.api.errors import Invalid, invalid_field

MOST_DAYS = 5_000
MOST_BYTES = 1024 * 1024
_LONGEST_EVENT_DAYS = 366
_LABEL = 100
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


def _lines(lines: Iterable[str], field: str) -> Iterator[Day]:
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").split(maxsplit=2)
        if words:
            kind = _OPEN.get(words[1].lower()) if len(words) > 1 else None
            label = " ".join(words[1 if kind is None else 2 :])
            yield Day(_date(words[0], f"Line {number}", field), bool(kind), label[:_LABEL])


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
    found = _events(text, zone, field) if text.lstrip().startswith("BEGIN:VCALENDAR") else _rows(text, field)
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
            yield Day(_date(cells[0], f"Row {number}", field), bool(kind), (rest[0] if rest else "")[:_LABEL])
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
        title = str(event.get("SUMMARY", ""))[:_LABEL]
        if event.get("RRULE") or event.get("RDATE"):
            raise invalid_field(field, f"The event '{title[:40]}' recurs: write each of its days as an event.")
        start, end = (_whole_day(getattr(event.get(name), "dt", None), zone) for name in ("DTSTART", "DTEND"))
        if start is None or (end is None and "DTEND" in event):
            # Events of a part of a day close no day.
            continue
        last = end - dt.timedelta(days=1) if end else start
        if (last - start).days >= _LONGEST_EVENT_DAYS:
            raise invalid_field(field, f"The event '{title[:40]}' is longer than a year.")
        for number in range(max(1, (last - start).days + 1)):
            yield Day(start + dt.timedelta(days=number), False, title)


def _whole_day(value: Any, zone: ZoneInfo) -> dt.date | None:
    """The day that begins at a value of an event; None if none does. Times without a zone are those of `zone`."""
    if not isinstance(value, dt.datetime):
        return value if isinstance(value, dt.date) else None
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
