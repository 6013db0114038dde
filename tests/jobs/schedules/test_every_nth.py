"""Every n-th day of a schedule, counted from a date."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules.schedule import CronError, EveryNth, schedule_of

TOKYO = ZoneInfo("Asia/Tokyo")
START = dt.datetime(2026, 12, 1, tzinfo=TOKYO)


def days(expression: str, n: int, since: str, count: int, after: dt.datetime = START) -> list[str]:
    schedule = schedule_of(expression, TOKYO, nth=EveryNth(n, dt.date.fromisoformat(since)))
    return [f"{one.astimezone(TOKYO):%m-%d %H:%M}" for one in schedule.upcoming(count, after)]


def test_every_other_friday() -> None:
    assert days("0 9 * * 5", 2, "2026-12-04", 4) == ["12-04 09:00", "12-18 09:00", "01-01 09:00", "01-15 09:00"]
    # The first Friday on or after the date counts.
    assert days("0 9 * * 5", 2, "2026-12-06", 2) == ["12-11 09:00", "12-25 09:00"]


def test_a_day_with_several_times_counts_once() -> None:
    assert days("0 9,18 * * 5", 2, "2026-12-04", 3) == ["12-04 09:00", "12-04 18:00", "12-18 09:00"]


def test_nothing_before_the_date() -> None:
    assert days("0 0 * * *", 1, "2026-12-10", 1) == ["12-02 00:00"]
    assert days("0 0 * * *", 3, "2026-12-10", 3) == ["12-10 00:00", "12-13 00:00", "12-16 00:00"]


def test_it_is_counted_across_years() -> None:
    schedule = schedule_of("0 0 1 * *", TOKYO, nth=EveryNth(5, dt.date(2000, 1, 1)))
    found = schedule.next(START).astimezone(TOKYO)
    months = (found.year - 2000) * 12 + found.month - 1
    assert (found.day, months % 5) == (1, 0)
    assert months > (2026 - 2000) * 12 + 11


def test_it_can_be_looked_at_backwards() -> None:
    schedule = schedule_of("0 9 * * 5", TOKYO, nth=EveryNth(2, dt.date(2026, 12, 4)))
    assert schedule.previous(dt.datetime(2026, 12, 18, 9, tzinfo=TOKYO)).astimezone(TOKYO).day == 4
    assert not schedule.is_at(dt.datetime(2026, 12, 11, 9, tzinfo=TOKYO))


def test_one_that_never_fires_says_so() -> None:
    with pytest.raises(CronError, match="never"):
        schedule_of("0 0 29 2 *", TOKYO, nth=EveryNth(366, dt.date(2026, 1, 2))).next(
            dt.datetime(2028, 3, 1, tzinfo=TOKYO)
        )


def test_in_words() -> None:
    schedule = schedule_of("0 9 * * 5", TOKYO, nth=EveryNth(2, dt.date(2026, 12, 4)))
    assert schedule.describe() == "At 09:00, only on Friday, every 2nd of these days from 2026-12-04 on"
    with translation.override("ja"):
        assert schedule.describe() == "毎週金曜 09:00（2026-12-04 から数えて2回に1回）"


@given(
    expression=st.sampled_from(["0 9 * * 5", "30 6 * * 1-5", "0 0 1,15 * *", "0 0 L * *", "0 12 * * *"]),
    n=st.integers(1, 40),
    since=st.dates(dt.date(2015, 1, 1), dt.date(2026, 12, 31)),
    after=st.datetimes(dt.datetime(2014, 6, 1), dt.datetime(2030, 1, 1), timezones=st.just(TOKYO)),
)
def test_it_keeps_every_nth_of_the_plain_days(expression: str, n: int, since: dt.date, after: dt.datetime) -> None:
    plain = schedule_of(expression, TOKYO)
    begin = dt.datetime.combine(since, dt.time(), TOKYO) - dt.timedelta(microseconds=1)
    horizon = max(after, begin) + dt.timedelta(days=3000)
    kept = [one for place, one in enumerate(plain.between(begin, horizon)) if place % n == 0 and one > after]
    if n == 1:
        kept = [one for one in plain.between(after, horizon) if one > after]
    schedule = schedule_of(expression, TOKYO, nth=EveryNth(n, since))
    assert list(schedule.between(after, horizon)) == kept
