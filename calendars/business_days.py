"""`BusinessDays`: which days of a calendar are open, and why the others are closed. It knows no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

import holidays
from holidays.registry import COUNTRIES

DAY = dt.timedelta(days=1)
# The last year whose holidays are certain: Japan fixes the equinox days in the February of the year before
# (国立天文台, 暦要項), and the library follows with its next release.
CERTAIN_UNTIL = 2027


@dataclass(frozen=True)
class BusinessDays:
    """The days of one version of a calendar. A day is closed if it is a weekend day, a national holiday or listed as
    closed, unless it is listed as open. Equal keys mean equal days.

    `weekend` holds ISO weekdays (1 is Monday), `closed` the label of each listed closed day.
    """

    key: str
    name: str = field(compare=False)
    weekend: frozenset[int] = field(default=frozenset({6, 7}), compare=False)
    country: str = field(default="", compare=False)
    open: frozenset[dt.date] = field(default=frozenset(), compare=False)
    closed: Mapping[dt.date, str] = field(default_factory=dict, compare=False)

    def closed_because(self, day: dt.date) -> str:
        """Why a day is closed, such as "成人の日" or "weekend"; '' if it is open."""
        if day in self.open:
            return ""
        if day in self.closed:
            return self.closed[day] or "closed"
        return self.holiday(day) or ("weekend" if day.isoweekday() in self.weekend else "")

    def holiday(self, day: dt.date) -> str:
        """The name of the national holiday of a day, in the country's language; '' without one."""
        return national_holidays(self.country, day.year).get(day, "") if self.country else ""

    def is_open(self, day: dt.date) -> bool:
        return not self.closed_because(day)

    def is_provisional(self, day: dt.date) -> bool:
        """Whether its year's equinox days of Japan are calculated, not yet announced."""
        return self.country == "JP" and day.year > CERTAIN_UNTIL

    def open_days(self, year: int, month: int) -> tuple[dt.date, ...]:
        """The open days of a month, in order."""
        return _open_days(self, year, month)

    def count(self, day: dt.date, number: int, *, limit: int = 92) -> dt.date | None:
        """The open day that is `number` open days after a day (before it, if negative); None beyond `limit` days.

        The day itself is not counted.
        """
        step, left = (DAY, number) if number > 0 else (-DAY, -number)
        for _ in range(limit):
            if not left:
                return day
            day += step
            left -= self.is_open(day)
        return None if left else day


@lru_cache(maxsize=5_000)
def _open_days(calendar: BusinessDays, year: int, month: int) -> tuple[dt.date, ...]:
    return tuple(day for day in days_of(year, month) if calendar.is_open(day))


def days_of(year: int, month: int) -> Iterable[dt.date]:
    """The days of a month."""
    day = dt.date(year, month, 1)
    while day.month == month:
        yield day
        day += DAY


@lru_cache(maxsize=2_000)
def national_holidays(country: str, year: int) -> dict[dt.date, str]:
    """The national holidays of a country (ISO 3166-1 alpha-2), by the package `holidays`, in the country's language."""
    return dict(holidays.country_holidays(country, years=year, language=_language_of(country)))


@cache
def _language_of(country: str) -> str | None:
    """The country's own language, because the package takes the machine's otherwise."""
    language: str | None = holidays.country_holidays(country).default_language
    return language


@cache
def country_name(code: str) -> str:
    """The English name of a country; the code itself if it is unknown."""
    names = {entry[1]: module.replace("_", " ").title() for module, entry in COUNTRIES.items()}
    return names.get(code, code)


@cache
def countries() -> tuple[str, ...]:
    """The codes of the countries whose holidays are known; Japan is the first."""
    known = sorted(holidays.list_supported_countries(include_aliases=False))
    return ("JP", *(code for code in known if code != "JP"))
