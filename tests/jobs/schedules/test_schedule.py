"""Schedules follow crontab(5), and Debian's cron through daylight saving."""

from __future__ import annotations

import datetime as dt
import time
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.schedules.schedule import CronError, schedule_of
from tests.support import brute_force

JST = ZoneInfo("Asia/Tokyo")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # leaps by half an hour


def at(text: str, zone: ZoneInfo = JST) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


def walls(moments: list[dt.datetime], zone: ZoneInfo = JST) -> list[str]:
    return [moment.astimezone(zone).strftime("%Y-%m-%d %H:%M") for moment in moments]


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, names: list[str] | None = None, base: int = 0) -> str:
    def one(value: int) -> str:
        named = names is not None and value - base < len(names) and draw(st.booleans())
        return names[value - base] if named and names else str(value)

    def item() -> str:
        kind = draw(st.sampled_from(["star", "step", "value", "range", "range step"]))
        if kind == "star":
            return "*"
        if kind == "step":
            return f"*/{draw(st.integers(1, high + 5))}"
        first = draw(st.integers(low, high))
        if kind == "value":
            return one(first)
        text = f"{one(first)}-{one(draw(st.integers(first, high)))}"
        return text if kind == "range" else f"{text}/{draw(st.integers(1, high))}"

    return ",".join(item() for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))))


expressions = st.builds(
    lambda *parts: " ".join(parts),
    fields(0, 59),
    fields(0, 23),
    fields(1, 31),
    fields(1, 12, brute_force.MONTHS, 1),
    fields(0, 7, brute_force.DAYS),
)
moments = st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2032, 12, 31))


@settings(max_examples=400, deadline=None)
@given(expressions, moments)
def test_fire_times_are_those_of_a_reading_of_crontab_minute_by_minute(expression: str, after: dt.datetime) -> None:
    try:
        schedule = schedule_of(expression, JST)
    except CronError as exc:
        assert "never fire" in str(exc)
        assert brute_force.upcoming(expression, after, 1, 4 * 366) == []
        return
    expected = brute_force.upcoming(expression, after, 5, 400)
    found = schedule.upcoming(len(expected), after.replace(tzinfo=JST))
    assert [moment.astimezone(JST).replace(tzinfo=None) for moment in found] == expected


@settings(max_examples=200, deadline=None)
@given(expressions, moments)
def test_previous_is_the_inverse_of_next(expression: str, moment: dt.datetime) -> None:
    try:
        schedule = schedule_of(expression, JST)
    except CronError:
        return
    following = schedule.next(moment.replace(tzinfo=JST))
    again = schedule.next(following)
    assert schedule.previous(again) == following


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.lists(st.text("0123456789*/-,LW#?@ajnsu ", max_size=12)).map(" ".join))
def test_any_text_is_accepted_or_refused_with_a_reason_within_milliseconds(text: str) -> None:
    started = time.process_time()
    try:
        schedule_of(text, JST).next(dt.datetime(2026, 1, 1, tzinfo=JST))
    except CronError as exc:
        assert str(exc)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("", "0 fields"),
        ("60 * * * *", "out of range in the minute"),
        ("* 24 * * *", "out of range in the hour"),
        ("* * 0 * *", "out of range in the day of month"),
        ("* * * 13 *", "out of range in the month"),
        ("* * * * 8", "out of range in the day of week"),
        ("5-1 * * * *", "backwards"),
        ("* * * * fri-mon", "backwards"),
        ("*/0 * * * *", "is 0"),
        ("1,,2 * * * *", "empty list item"),
        ("5/15 * * * *", "step but no range"),
        ("* * * foo *", "not known"),
        ("* * mon * *", "not known"),
        ("0 0 32W * *", "day of month"),
        ("0 0 * * 5#6", "weeks 1 to 5"),
        ("0 0 * * L", "5L"),
        ("0 0 LB * *", "need a calendar"),
        ("0 0 0 * * *", "seconds"),
        ("0 0 31 2 *", "never fire"),
        ("0 0 31 4,6,9,11 *", "never fire"),
        ("@reboot", "unknown"),
        ("-1 * * * *", "not a value"),
        ("١ * * * *", "not a value"),
    ],
)
def test_what_is_refused_says_why(expression: str, reason: str) -> None:
    with pytest.raises(CronError, match=reason):
        schedule_of(expression, JST)


@pytest.mark.parametrize("sunday", ["0", "7", "sun", "SUN"])
def test_sunday_has_many_names(sunday: str) -> None:
    found = schedule_of(f"0 10 * * {sunday}", JST).next(at("2026-11-24T00:00"))
    assert walls([found]) == ["2026-11-29 10:00"]


def test_weekday_numbers_are_crons() -> None:
    """The old system fired `* * * * 2` on Wednesday."""
    assert walls([schedule_of("0 10 * * 2", JST).next(at("2026-11-23T00:00"))]) == ["2026-11-24 10:00"]  # a Tuesday


def test_days_are_joined_by_or_when_neither_begins_with_a_star() -> None:
    found = schedule_of("0 0 13 * 5", JST).upcoming(4, at("2026-11-01T00:00"))
    assert walls(found) == ["2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00", "2026-11-27 00:00"]


def test_a_day_field_that_begins_with_a_star_does_not_widen() -> None:
    found = schedule_of("0 0 */2 * 1", JST).upcoming(3, at("2026-11-01T00:00"))
    assert walls(found) == ["2026-11-09 00:00", "2026-11-23 00:00", "2026-12-07 00:00"]


@pytest.mark.parametrize(
    ("macro", "same"),
    [("@hourly", "0 * * * *"), ("@Daily", "0 0 * * *"), ("@weekly", "0 0 * * 0"), ("@annually", "0 0 1 1 *")],
)
def test_macros_are_what_crontab_says(macro: str, same: str) -> None:
    after = at("2026-11-24T12:34")
    assert schedule_of(macro, JST).upcoming(3, after) == schedule_of(same, JST).upcoming(3, after)


def test_29_february_is_found_years_ahead() -> None:
    assert walls([schedule_of("0 0 29 2 *", JST).next(at("2096-03-01T00:00"))]) == ["2104-02-29 00:00"]


class TestDaylightSaving:
    """New York leaps from 02:00 to 03:00 on 2026-03-08, and back from 02:00 to 01:00 on 2026-11-01."""

    def test_a_fixed_time_in_the_gap_runs_right_after_it_once(self) -> None:
        found = schedule_of("30 2 * * *", NEW_YORK).upcoming(3, at("2026-03-07T12:00", NEW_YORK))
        assert walls(found, NEW_YORK) == ["2026-03-08 03:00", "2026-03-09 02:30", "2026-03-10 02:30"]

    def test_several_fixed_times_in_the_gap_run_once(self) -> None:
        found = schedule_of("0,15,30 2 * * *", NEW_YORK).upcoming(2, at("2026-03-08T00:00", NEW_YORK))
        assert walls(found, NEW_YORK) == ["2026-03-08 03:00", "2026-03-09 02:00"]

    def test_a_fixed_time_in_the_repeated_hour_runs_once(self) -> None:
        found = schedule_of("30 1 * * *", NEW_YORK).upcoming(2, at("2026-10-31T12:00", NEW_YORK))
        assert [moment.isoformat() for moment in found] == ["2026-11-01T05:30:00+00:00", "2026-11-02T06:30:00+00:00"]

    def test_a_job_that_follows_the_clock_runs_in_both_hours(self) -> None:
        found = schedule_of("30 * * * *", NEW_YORK).upcoming(4, at("2026-11-01T00:00", NEW_YORK))
        assert walls(found, NEW_YORK) == [
            "2026-11-01 00:30",
            "2026-11-01 01:30",
            "2026-11-01 01:30",
            "2026-11-01 02:30",
        ]

    def test_a_job_that_follows_the_clock_has_nothing_in_the_gap(self) -> None:
        found = schedule_of("*/30 * * * *", NEW_YORK).upcoming(4, at("2026-03-08T01:00", NEW_YORK))
        assert walls(found, NEW_YORK) == [
            "2026-03-08 01:30",
            "2026-03-08 03:00",
            "2026-03-08 03:30",
            "2026-03-08 04:00",
        ]

    def test_a_leap_of_half_an_hour(self) -> None:
        found = schedule_of("15 2 * * *", LORD_HOWE).upcoming(2, at("2026-10-03T12:00", LORD_HOWE))
        assert walls(found, LORD_HOWE) == ["2026-10-04 02:30", "2026-10-05 02:15"]


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("0 22-2 * * *", "22-23,0-2"),
        ("0 0 * * sat-sun", "6,0"),
        ("0 0 * * fri-mon", "5-6,0-1"),
        ("0 0 * nov-feb *", "11-12,1-2"),
    ],
)
def test_the_advice_about_a_reversed_range_means_the_same(expression: str, advice: str) -> None:
    with pytest.raises(CronError, match=f"write {advice}\\."):
        schedule_of(expression)


@given(
    st.sampled_from(["0 0 * * *", "30 0 * * *", "*/7 * * * *", "15 2 * * 0"]),
    st.sampled_from(sorted(available_timezones())),
    st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2060, 1, 1)),
)
@example("0 0 * * *", "Africa/Monrovia", dt.datetime(1972, 1, 7, 0, 44, 30))
def test_the_next_fire_time_is_later_in_every_zone(expression: str, zone: str, moment: dt.datetime) -> None:
    after = moment.replace(tzinfo=dt.UTC)
    assert schedule_of(expression, ZoneInfo(zone)).next(after) > after
