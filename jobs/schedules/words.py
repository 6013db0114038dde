"""A schedule in words, in English and Japanese.

The words come from the values that match, not from the text of the expression: `*/90` in the minutes is minute 0.
They follow the days of crontab(5): two restricted day fields are joined by "or", or by "and" if one begins with `*`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from calendar import day_name, month_name
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from jobs.schedules.closed_days import NEXT_OPEN, PREVIOUS_OPEN, SKIP, ClosedDayRule
from jobs.schedules.crontab import Crontab
from jobs.schedules.every_nth import EveryNth
from jobs.schedules.special_days import Kind, SpecialDay

_MOST_TIMES = 6
# Months differ in length, so steps of days never close.
_NO_CYCLE = 10**6
_WEEKDAYS = (1, 2, 3, 4, 5)


@lru_cache(maxsize=5_000)
def describe(tab: Crontab, language: str) -> str:
    """The schedule in words; `language` is a code such as "en" or "ja-jp". Any language but Japanese gets English."""
    return (_JAPANESE if language.startswith("ja") else _ENGLISH).describe(tab)


def closed_days(rule: ClosedDayRule, calendar: str, language: str) -> str:
    """What follows the words of a schedule: the rule for the closed days of a calendar."""
    return (_JAPANESE if language.startswith("ja") else _ENGLISH).closed_days(rule, calendar)


def every_nth(nth: EveryNth, language: str) -> str:
    """What follows the words of a schedule of which not every day is kept."""
    return (_JAPANESE if language.startswith("ja") else _ENGLISH).every_nth(nth)


class _Steps(NamedTuple):
    """Values at equal distances. `closed`: the distance also holds from the last value to the first of the next cycle,
    as with minutes 0, 15, 30, 45.
    """

    first: int
    last: int
    step: int
    closed: bool


def _steps(values: Sequence[int], size: int) -> _Steps | None:
    """The values as steps of two or more; None if they are not, or are too few to be read as steps."""
    if len(values) < 2:
        return None
    step = values[1] - values[0]
    even = all(after - before == step for before, after in pairwise(values))
    closed = values[0] + size - values[-1] == step
    few = len(values) < 3 and not (closed and values[0] == 0)
    return None if few or not even or step < 2 else _Steps(values[0], values[-1], step, closed)


def _is_range(values: Sequence[int]) -> bool:
    return len(values) > 2 and values[-1] - values[0] == len(values) - 1


class _Language(ABC):
    """Builds the sentence from its parts: times, days, months."""

    def describe(self, tab: Crontab) -> str:
        if tab.is_manual:
            return self.manually
        days = sorted(tab.day.values) if len(tab.day.values) < 31 else []
        # Sunday comes last, so that a weekend is one range.
        weekdays = sorted(value or 7 for value in tab.weekday.values) if len(tab.weekday.values) < 7 else []
        dates, of_week = (days or tab.day.special), (weekdays or tab.weekday.special)
        if tab.either_day and not (dates and of_week):
            days = weekdays = []
        months = sorted(tab.month.values) if len(tab.month.values) < 12 else []
        times = self._times(sorted(tab.minute.values), sorted(tab.hour.values))
        if tab.special and (dates or of_week):
            return self.sentence(times, self._special_days(tab, days, weekdays, months), months)
        return self.sentence(times, self._days(days, weekdays, months, either=tab.either_day), months)

    def _special_days(self, tab: Crontab, days: list[int], weekdays: list[int], months: list[int]) -> str:
        """The days of a schedule with items that name one day of each month."""
        dates = [self.days_of_month(days, _steps(days, _NO_CYCLE))] if days else []
        dates += [self.special(item) for item in tab.day.special]
        of_week = [self.named(weekdays)] if weekdays else []
        of_week += [self.special(item) for item in tab.weekday.special]
        groups = [self.listed(group) for group in (dates, of_week) if group]
        return self.on_special(self.either(groups) if tab.either_day else self.both(groups), months)

    def _times(self, minutes: list[int], hours: list[int]) -> str:
        if len(hours) == 24:
            return self._minutes_of_any_hour(minutes)
        if len(minutes) == 1:
            minute, steps = minutes[0], _steps(hours, 24)
            if steps and steps.closed and len(hours) > 2:
                return self.every_hours(steps.step, _clock(steps.first, minute) if steps.first or minute else "")
            if _is_range(hours):
                return self.hourly_from(_clock(hours[0], minute), _clock(hours[-1], minute))
        if len(minutes) == 1 or len(minutes) * len(hours) <= _MOST_TIMES:
            return self.at([_clock(hour, minute) for hour in hours for minute in minutes])
        return self.within_hours(self._minutes(minutes), self._hours(hours))

    def _minutes_of_any_hour(self, minutes: list[int]) -> str:
        steps = _steps(minutes, 60)
        if len(minutes) == 60 or (steps and steps.closed and not steps.first):
            return self._minutes(minutes)
        return self.of_every_hour(minutes[0]) if len(minutes) == 1 else self.in_every_hour(self._minutes(minutes))

    def _minutes(self, minutes: list[int]) -> str:
        steps = _steps(minutes, 60)
        if len(minutes) == 60:
            return self.every_minute
        if steps and steps.closed and not steps.first:
            return self.every_minutes(steps.step)
        if steps:
            return self.every_minutes_from(steps.step, steps.first, steps.last)
        if _is_range(minutes):
            return self.every_minutes_from(1, minutes[0], minutes[-1])
        return self.at_minutes(minutes)

    def _hours(self, hours: list[int]) -> str:
        parts, start = [], 0
        for index, hour in enumerate(hours):
            if index + 1 == len(hours) or hours[index + 1] != hour + 1:
                parts.append(self.span(_clock(hours[start], 0), _clock(hour, 59)))
                start = index + 1
        return self.listed(parts)

    def _days(self, days: list[int], weekdays: list[int], months: list[int], *, either: bool) -> str:
        by_date = self.days_of_month(days, _steps(days, _NO_CYCLE)) if days else ""
        if not weekdays:
            return self.on_dates(by_date, months)
        return self.joined(by_date, weekdays, months, either=either) if by_date else self.weekly(weekdays)

    every_minute: str
    manually: str

    @abstractmethod
    def sentence(self, times: str, days: str, months: list[int]) -> str: ...
    @abstractmethod
    def listed(self, parts: Sequence[str]) -> str: ...
    @abstractmethod
    def at(self, clocks: list[str]) -> str: ...
    @abstractmethod
    def every_minutes(self, step: int) -> str: ...
    @abstractmethod
    def every_minutes_from(self, step: int, first: int, last: int) -> str: ...
    @abstractmethod
    def at_minutes(self, minutes: list[int]) -> str: ...
    @abstractmethod
    def of_every_hour(self, minute: int) -> str: ...
    @abstractmethod
    def in_every_hour(self, minutes: str) -> str: ...
    @abstractmethod
    def every_hours(self, step: int, start: str) -> str: ...
    @abstractmethod
    def hourly_from(self, first: str, last: str) -> str: ...
    @abstractmethod
    def within_hours(self, minutes: str, hours: str) -> str: ...
    @abstractmethod
    def span(self, first: str, last: str) -> str: ...
    @abstractmethod
    def days_of_month(self, days: list[int], steps: _Steps | None) -> str: ...
    @abstractmethod
    def on_dates(self, by_date: str, months: list[int]) -> str: ...
    @abstractmethod
    def weekly(self, weekdays: list[int]) -> str: ...
    @abstractmethod
    def joined(self, by_date: str, weekdays: list[int], months: list[int], *, either: bool) -> str: ...
    @abstractmethod
    def named(self, weekdays: list[int]) -> str: ...
    @abstractmethod
    def special(self, item: SpecialDay) -> str: ...
    @abstractmethod
    def on_special(self, days: str, months: list[int]) -> str: ...
    @abstractmethod
    def either(self, groups: Sequence[str]) -> str: ...
    @abstractmethod
    def both(self, groups: Sequence[str]) -> str: ...
    @abstractmethod
    def every_nth(self, nth: EveryNth) -> str: ...
    @abstractmethod
    def closed_days(self, rule: ClosedDayRule, calendar: str) -> str: ...


class _English(_Language):
    every_minute = "Every minute"
    manually = "By hand and at single times only"

    def sentence(self, times: str, days: str, months: list[int]) -> str:
        names = [month_name[month] for month in months]
        if _is_range(months):
            names = [f"{names[0]} through {names[-1]}"]
        return ", ".join(filter(None, [times, days, f"only in {self.listed(names)}" if names else ""]))

    def listed(self, parts: Sequence[str]) -> str:
        return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))

    def at(self, clocks: list[str]) -> str:
        return f"At {self.listed(clocks)}"

    def every_minutes(self, step: int) -> str:
        return f"Every {step} minutes"

    def every_minutes_from(self, step: int, first: int, last: int) -> str:
        what = f"Every {step} minutes" if step > 1 else "Every minute"
        return f"{what} from minute {first} to {last}"

    def at_minutes(self, minutes: list[int]) -> str:
        return f"At minute{'s' if len(minutes) > 1 else ''} {self.listed([str(one) for one in minutes])}"

    def of_every_hour(self, minute: int) -> str:
        return f"At minute {minute} of every hour" if minute else "Every hour"

    def in_every_hour(self, minutes: str) -> str:
        return f"{minutes} of every hour"

    def every_hours(self, step: int, start: str) -> str:
        return f"Every {step} hours" + (f" from {start}" if start else "")

    def hourly_from(self, first: str, last: str) -> str:
        return f"Every hour from {first} to {last}"

    def within_hours(self, minutes: str, hours: str) -> str:
        return f"{minutes}, {hours}"

    def span(self, first: str, last: str) -> str:
        return f"between {first} and {last}"

    def days_of_month(self, days: list[int], steps: _Steps | None) -> str:
        if steps:
            until = f" to {steps.last}" if steps.last + steps.step <= 31 else ""
            return f"every {steps.step} days from day {steps.first}{until} of the month"
        if _is_range(days):
            return f"on days {days[0]} to {days[-1]} of the month"
        return f"on day{'s' if len(days) > 1 else ''} {self.listed([str(day) for day in days])} of the month"

    def on_dates(self, by_date: str, months: list[int]) -> str:
        return by_date

    def weekly(self, weekdays: list[int]) -> str:
        names = self.named(weekdays)
        return names if _is_range(weekdays) else f"only on {names}"

    def joined(self, by_date: str, weekdays: list[int], months: list[int], *, either: bool) -> str:
        return f"{by_date} {'or' if either else 'and only'} on {self.named(weekdays)}"

    def named(self, weekdays: list[int]) -> str:
        names = [day_name[day - 1] for day in weekdays]
        return f"{names[0]} through {names[-1]}" if _is_range(weekdays) else self.listed(names)

    def special(self, item: SpecialDay) -> str:
        number = item.number
        if item.kind is Kind.LAST:
            return f"{_counted(number, 'day')} before the last day" if number else "the last day"
        if item.kind is Kind.LAST_BUSINESS:
            return (
                f"{_counted(number, 'business day')} before the last business day"
                if number
                else ("the last business day")
            )
        name = day_name[(item.weekday - 1) % 7]
        return {
            Kind.LAST_WEEKDAY: "the last weekday",
            Kind.NEAREST_WEEKDAY: f"the weekday nearest to day {number}",
            Kind.BUSINESS: f"the {_ordinal(number)} business day",
            Kind.NTH_OF_WEEK: f"the {_ordinal(number)} {name}",
            Kind.LAST_OF_WEEK: f"the last {name}",
        }[item.kind]

    def on_special(self, days: str, months: list[int]) -> str:
        days = days.removeprefix("on ")
        # Such as "3 days before the last day".
        lead = "" if days[0].isdigit() else "on "
        return f"{lead}{days}" if days.endswith("of the month") else f"{lead}{days} of the month"

    def either(self, groups: Sequence[str]) -> str:
        return " or ".join(groups)

    def both(self, groups: Sequence[str]) -> str:
        return " and only if it is ".join(groups)

    def every_nth(self, nth: EveryNth) -> str:
        return f", every {_ordinal(nth.n)} of these days from {nth.since} on"

    def closed_days(self, rule: ClosedDayRule, calendar: str) -> str:
        told = {
            SKIP: "not on closed days",
            NEXT_OPEN: "moved from closed days to the next open day",
            PREVIOUS_OPEN: "moved from closed days to the previous open day",
        }.get(rule.on_closed_day, "")
        if told and rule.keep_month and rule.on_closed_day != SKIP:
            told += " within the month"
        if rule.open_days:
            counted = f"{_counted(abs(rule.open_days), 'open day')} {'later' if rule.open_days > 0 else 'earlier'}"
            told = f"{told}, then {counted}" if told else counted
        return f", {told} (calendar {calendar})" if told else f" (calendar {calendar})"


class _Japanese(_Language):
    every_minute = "毎分"
    manually = "手動または日時指定の実行のみ"

    def sentence(self, times: str, days: str, months: list[int]) -> str:
        if months and not days.startswith("毎年"):
            days = f"{self._months(months)}の{days or '毎日'}"
        # A time of day needs its days; a frequency such as "15分ごと" does not.
        when = days or ("毎日" if times[0].isdigit() and ":" in times.split("・")[0] else "")
        return f"{when} {times}".strip()

    def listed(self, parts: Sequence[str]) -> str:
        return "・".join(parts)

    def at(self, clocks: list[str]) -> str:
        return self.listed(clocks)

    def every_minutes(self, step: int) -> str:
        return f"{step}分ごと"

    def every_minutes_from(self, step: int, first: int, last: int) -> str:
        return f"{first}分～{last}分の{self.every_minutes(step) if step > 1 else '毎分'}"

    def at_minutes(self, minutes: list[int]) -> str:
        return self.listed([f"{minute}分" for minute in minutes])

    def of_every_hour(self, minute: int) -> str:
        return f"毎時{minute}分" if minute else "毎時"

    def in_every_hour(self, minutes: str) -> str:
        return f"毎時{minutes}"

    def every_hours(self, step: int, start: str) -> str:
        return (f"{start}から" if start else "") + f"{step}時間ごと"

    def hourly_from(self, first: str, last: str) -> str:
        return f"{first}～{last}の毎時"

    def within_hours(self, minutes: str, hours: str) -> str:
        return f"{hours}の{minutes}"

    def span(self, first: str, last: str) -> str:
        return f"{first}～{last}"

    def days_of_month(self, days: list[int], steps: _Steps | None) -> str:
        if steps:
            span = f"{steps.first}日～{steps.last}日の" if steps.last + steps.step <= 31 else f"{steps.first}日から"
            return f"{span}{steps.step}日ごと"
        if _is_range(days):
            return f"{days[0]}日～{days[-1]}日"
        return self.listed([f"{day}日" for day in days])

    def on_dates(self, by_date: str, months: list[int]) -> str:
        if not by_date:
            return ""
        if len(months) == 1:
            return f"毎年{months[0]}月{by_date}"
        return by_date if months else f"毎月{by_date}"

    def weekly(self, weekdays: list[int]) -> str:
        if tuple(weekdays) == _WEEKDAYS:
            return "平日"
        return "土日" if weekdays == [6, 7] else f"毎週{self.named(weekdays)}"

    def joined(self, by_date: str, weekdays: list[int], months: list[int], *, either: bool) -> str:
        return f"{'' if months else '毎月'}{by_date}、{'または' if either else 'かつ'}{self.named(weekdays)}"

    def named(self, weekdays: list[int]) -> str:
        names = [f"{'月火水木金土日'[day - 1]}曜" for day in weekdays]
        return f"{names[0]}～{names[-1]}" if _is_range(weekdays) else self.listed(names)

    def _months(self, months: list[int]) -> str:
        if _is_range(months):
            return f"{months[0]}月～{months[-1]}月"
        return self.listed([f"{month}月" for month in months])

    def special(self, item: SpecialDay) -> str:
        number = item.number
        if item.kind is Kind.LAST:
            return f"月末の{number}日前" if number else "月末"
        if item.kind is Kind.LAST_BUSINESS:
            return f"最終営業日の{number}営業日前" if number else "最終営業日"
        name = "日月火水木金土"[item.weekday] + "曜"
        return {
            Kind.LAST_WEEKDAY: "最終平日",
            Kind.NEAREST_WEEKDAY: f"{number}日に最も近い平日",
            Kind.BUSINESS: f"第{number}営業日",
            Kind.NTH_OF_WEEK: f"第{number}{name}",
            Kind.LAST_OF_WEEK: f"最終{name}",
        }[item.kind]

    def on_special(self, days: str, months: list[int]) -> str:
        return self.on_dates(days, months)

    def either(self, groups: Sequence[str]) -> str:
        return "、または".join(groups)

    def both(self, groups: Sequence[str]) -> str:
        return "、かつ".join(groups)

    def every_nth(self, nth: EveryNth) -> str:
        return f"（{nth.since} から数えて{nth.n}回に1回）"

    def closed_days(self, rule: ClosedDayRule, calendar: str) -> str:
        told = {
            SKIP: "休業日は実行しない",
            NEXT_OPEN: "休業日は翌営業日に振替",
            PREVIOUS_OPEN: "休業日は前営業日に振替",
        }.get(rule.on_closed_day, "")
        if told and rule.keep_month and rule.on_closed_day != SKIP:
            told += "（同じ月の中で）"
        if rule.open_days:
            counted = f"{abs(rule.open_days)}営業日{'後' if rule.open_days > 0 else '前'}"
            told = f"{told}、その{counted}" if told else f"その{counted}"
        return f"（{told}、カレンダー: {calendar}）" if told else f"（カレンダー: {calendar}）"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 < number < 20 else ending}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


_ENGLISH, _JAPANESE = _English(), _Japanese()
