"""Parser for the five fields of a cron expression (crontab(5)), with reasons for what it refuses.

It follows Debian's cron: lists, ranges, steps, names, 0 and 7 as Sunday. It refuses two forms that Debian accepts
with surprising results: a reversed range, and a step without a range (`5/15`). The day fields also take the items of
`jobs.schedules.special_days`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from functools import cached_property

from calendars.business_days import BusinessDays
from jobs.schedules.special_days import SpecialDay, day_item, weekday_item

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# No fire times: the job runs by hand and at single times only (the word is Dkron's).
MANUALLY = "@manually"
MONTHS = dict(
    zip(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], range(1, 13), strict=True)
)
DAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_LONGEST_MONTHS = {month: 30 if month in {4, 6, 9, 11} else 31 for month in range(1, 13)} | {2: 29}
_ITEM = re.compile(r"(?:(\*)|([0-9]{1,3}|[a-z]+)(?:-([0-9]{1,3}|[a-z]+))?)(?:/([0-9]{1,3}))?", re.ASCII)


class CronError(ValueError):
    """An invalid cron expression; the message says why, and what to write."""


@dataclass(frozen=True)
class Field:
    """One field: its matching values, and whether it begins with `*` (which decides how the two day fields combine).
    `special`: its items that name one day of each month.
    """

    values: frozenset[int]
    starred: bool
    special: tuple[SpecialDay, ...] = ()


_MIDNIGHT = Field(frozenset({0}), starred=False)
_NEVER = Field(frozenset(), starred=False)


@dataclass(frozen=True)
class Crontab:
    """A parsed expression. `text` is its five fields, with macros expanded."""

    text: str
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.text, self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def is_manual(self) -> bool:
        """Whether it names no times."""
        return self.text == MANUALLY

    @property
    def either_day(self) -> bool:
        """Whether a day matches if either day field matches: neither begins with `*`."""
        return not (self.day.starred or self.weekday.starred)

    @cached_property
    def minutes(self) -> tuple[int, ...]:
        """The minutes of a matching day, counted from midnight, in ascending order."""
        return tuple(60 * hour + minute for hour in sorted(self.hour.values) for minute in sorted(self.minute.values))

    @cached_property
    def at_midnight(self) -> Crontab:
        """The same days at midnight: equal for expressions that differ only in their times."""
        return replace(self, text="", minute=_MIDNIGHT, hour=_MIDNIGHT)

    @property
    def special(self) -> tuple[SpecialDay, ...]:
        """The items of the day fields that name one day of each month."""
        return self.day.special + self.weekday.special

    @property
    def needs_calendar(self) -> bool:
        """Whether it names business days."""
        return any(item.needs_calendar for item in self.special)

    def matches_day(self, day: dt.date, calendar: BusinessDays | None = None) -> bool:
        """Whether it names a day; `calendar` tells the business days."""
        by_date = day.day in self.day.values or _is_any(self.day.special, day, calendar)
        by_weekday = day.isoweekday() % 7 in self.weekday.values or _is_any(self.weekday.special, day, calendar)
        fits = by_date or by_weekday if self.either_day else by_date and by_weekday
        return fits and day.month in self.month.values

    @property
    def follows_clock(self) -> bool:
        """Whether minute or hour begins with `*`: such jobs follow the wall clock through daylight-saving changes."""
        return self.minute.starred or self.hour.starred


def _is_any(items: tuple[SpecialDay, ...], day: dt.date, calendar: BusinessDays | None) -> bool:
    return any(item.day_in(day.year, day.month, calendar) == day.day for item in items)


def parse(expression: str) -> Crontab:
    """Parse an expression. Raises `CronError` with the reason."""
    text = " ".join(expression.split()).lower()
    if text.startswith("@"):
        if text == MANUALLY:
            return Crontab(MANUALLY, _NEVER, _NEVER, _NEVER, _NEVER, _NEVER)
        if text not in MACROS:
            known = ", ".join([*MACROS, MANUALLY])
            raise CronError(f"'{expression.strip()[:40]}' is unknown; the macros are {known}.")
        text = MACROS[text]
    fields = text.split(" ") if text else []
    if len(fields) in {6, 7}:
        raise CronError(
            f"{len(fields)} fields found: there are none for seconds and years, as in Quartz. Write five: minute, "
            "hour, day of month, month, day of week."
        )
    if len(fields) != 5:
        raise CronError(
            f"{len(fields)} fields found, 5 are needed: minute, hour, day of month, month, day of week,"
            " such as '0 9 * * 1-5'."
        )
    tab = Crontab(
        text,
        _field("minute", fields[0], 0, 59),
        _field("hour", fields[1], 0, 23),
        _field("day of month", fields[2], 1, 31),
        _field("month", fields[3], 1, 12, MONTHS),
        _field("day of week", fields[4], 0, 7, DAYS),
    )
    if not (tab.either_day or tab.special) and not any(
        min(tab.day.values) <= _LONGEST_MONTHS[month] for month in tab.month.values
    ):
        raise CronError(
            f"It can never fire: day {min(tab.day.values)} does not exist in month "
            f"{', '.join(map(str, sorted(tab.month.values)))}."
        )
    return tab


def _field(name: str, text: str, low: int, high: int, names: dict[str, int] | None = None) -> Field:
    values: set[int] = set()
    special = []
    for item in text.split(","):
        found = _special(name, item)
        if found:
            special.append(found)
        else:
            values.update(_item(name, item, low, high, names or {}))
    if high == 7:
        values = {value % 7 for value in values}
    return Field(frozenset(values), text.startswith("*"), tuple(dict.fromkeys(special)))


def _special(name: str, item: str) -> SpecialDay | None:
    try:
        if name == "day of month":
            return day_item(item)
        return weekday_item(item, DAYS) if name == "day of week" else None
    except ValueError as exc:
        raise CronError(f"'{item[:40]}' in the {name} field: {exc}") from exc


def _item(name: str, item: str, low: int, high: int, names: dict[str, int]) -> range:
    if not item:
        raise CronError(f"The {name} field has an empty list item: remove the extra comma.")
    match = _ITEM.fullmatch(item)
    if match is None:
        raise CronError(
            f"'{item[:40]}' is not a value of the {name} field: write *, a number, a range such as 1-5, or a step "
            f"such as */15."
        )
    star, first, last, step = match.groups()
    start = low if star else _value(name, first, low, high, names)
    # `*` in the day of week means Sunday to Saturday, 0 to 6, because 7 repeats Sunday.
    end = min(high, 6) if star and high == 7 else high if star else start
    if last is not None:
        end = _value(name, last, low, high, names)
        if end < start:
            raise CronError(
                f"The range '{item}' in the {name} field runs backwards: if it goes past the end, write "
                f"{_span(start, min(high, 6) if high == 7 else high)},{_span(low, end)}."
            )
    if step is not None:
        if int(step) == 0:
            raise CronError(f"The step in '{item}' of the {name} field is 0: write 1 or more.")
        if not star and last is None:
            raise CronError(
                f"'{item}' in the {name} field has a step but no range: write {start}-{high}/{step} or */{step}."
            )
    return range(start, end + 1, int(step or 1))


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _value(name: str, text: str, low: int, high: int, names: dict[str, int]) -> int:
    value = int(text) if text.isdigit() else names.get(text)
    if value is None:
        raise CronError(f"'{text[:40]}' is not known in the {name} field.")
    if not low <= value <= high:
        raise CronError(f"{value} is out of range in the {name} field: {low} to {high} are allowed.")
    return value
