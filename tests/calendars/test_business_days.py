"""The national holidays of Japan as the Cabinet Office (内閣府) announced them, and what a calendar lists."""

from __future__ import annotations

import datetime as dt

import pytest

from calendars.business_days import BusinessDays, countries, country_name
from calendars.models import Calendar, CalendarDay, business_days

JAPAN = BusinessDays("japan", "Japan", country="JP")


@pytest.mark.parametrize(
    ("day", "name"),
    [
        # Moved for the Olympic Games.
        ("2021-07-22", "海の日"), ("2021-07-23", "スポーツの日"), ("2021-08-08", "山の日"), ("2021-08-09", "振替休日"),
        ("2021-07-19", ""), ("2021-10-11", ""), ("2021-08-11", ""),
        ("2022-03-21", "春分の日"), ("2023-01-02", "振替休日"), ("2024-02-12", "振替休日"), ("2024-08-12", "振替休日"),
        ("2025-02-24", "振替休日"), ("2025-05-06", "振替休日"), ("2025-11-24", "振替休日"), ("2026-05-06", "振替休日"),
        # Between two holidays.
        ("2026-09-21", "敬老の日"), ("2026-09-22", "国民の休日"), ("2026-09-23", "秋分の日"),
        ("2027-01-11", "成人の日"), ("2027-03-21", "春分の日"), ("2027-03-22", "振替休日"), ("2027-05-01", ""),
    ],
)  # fmt: skip
def test_national_holidays(day: str, name: str) -> None:
    assert JAPAN.holiday(dt.date.fromisoformat(day)) == name


def test_a_listed_day_stands_above_weekends_and_holidays() -> None:
    new_year, saturday, monday = dt.date(2026, 1, 1), dt.date(2026, 11, 28), dt.date(2026, 11, 30)
    days = BusinessDays("x", "X", country="JP", open=frozenset({new_year, saturday}), closed={monday: "創立記念日"})
    assert [days.closed_because(day) for day in (new_year, saturday, monday)] == ["", "", "創立記念日"]
    assert days.closed_because(dt.date(2026, 11, 29)) == "weekend"


def test_years_whose_equinox_days_are_not_announced_are_provisional() -> None:
    assert not JAPAN.is_provisional(dt.date(2027, 12, 31))
    assert JAPAN.is_provisional(dt.date(2028, 1, 1))
    assert not BusinessDays("y", "Y").is_provisional(dt.date(2028, 1, 1))


def test_counting_open_days_ends() -> None:
    shut = BusinessDays("shut", "Shut", frozenset(range(1, 8)))
    assert shut.count(dt.date(2026, 1, 1), 1) is None
    assert JAPAN.count(dt.date(2026, 9, 18), 1) == dt.date(2026, 9, 24)


def test_japan_comes_first_among_the_countries() -> None:
    assert countries()[0] == "JP"
    assert (country_name("JP"), country_name("DE"), country_name("??")) == ("Japan", "Germany", "??")


@pytest.mark.django_db
def test_each_version_of_a_calendar_is_read_once() -> None:
    calendar = Calendar.objects.create(name="Office", slug="office")
    monday = dt.date(2026, 11, 30)
    assert business_days(calendar.pk, 1).is_open(monday)
    CalendarDay.objects.create(calendar=calendar, date=monday)
    Calendar.objects.filter(pk=calendar.pk).update(version=2)
    assert not business_days(calendar.pk, 2).is_open(monday)
    # A job row of before the change gets the days of now, and does not spoil the next version.
    assert not business_days(calendar.pk, 3).is_open(monday)
    assert business_days(calendar.pk, 2) is business_days(calendar.pk, 2)
