"""Schedules with closed days: cases from the definitions, and a brute-force walk over days."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendars.business_days import BusinessDays
from jobs.schedules.schedule import ClosedDayRule, CronError, Schedule, schedule_of

DAY = dt.timedelta(days=1)
# 年末年始: 12-29 to 01-03.
CLOSED = {
    dt.date(year, month, day): "年末年始"
    for year in range(2020, 2029)
    for month, day in ((12, 29), (12, 30), (12, 31), (1, 2), (1, 3))
}
TOKYO = BusinessDays("cases", "Tokyo office", country="JP", closed=CLOSED)
RUN, NEXT, PREVIOUS, SKIP = (
    ClosedDayRule(),
    ClosedDayRule("next_open"),
    ClosedDayRule("previous_open"),
    ClosedDayRule("skip"),
)
MODIFIED = ClosedDayRule("next_open", keep_month=True)


def schedule(expression: str, rule: ClosedDayRule = RUN, calendar: Any = TOKYO) -> Schedule:
    return schedule_of(expression, None, calendar, rule)


def days_of(made: Schedule, first: str, last: str) -> list[str]:
    """The days in [first, last] on which a schedule fires."""
    begin = dt.datetime.combine(dt.date.fromisoformat(first), dt.time(), made.zone) - dt.timedelta(microseconds=1)
    end = dt.datetime.combine(dt.date.fromisoformat(last), dt.time(23, 59), made.zone)
    return [f"{moment.astimezone(made.zone):%Y-%m-%d}" for moment in made.between(begin, end)]


# Quartz's CronTrigger: L, L-n, LW, nW, d#n, dL; with crontab's 0 to 7 for the days of the week.
QUARTZ = [
    ("L", "*", "2026-02", "28"), ("L", "*", "2028-02", "29"), ("L", "*", "2026-11", "30"),
    ("L", "*", "2026-12", "31"), ("L-3", "*", "2027-02", "25"), ("L-3", "*", "2028-02", "26"),
    ("L-1", "*", "2026-12", "30"), ("L-30", "*", "2026-11", ""), ("L-30", "*", "2026-12", "1"),
    ("LW", "*", "2026-01", "30"), ("LW", "*", "2026-05", "29"), ("LW", "*", "2026-11", "30"),
    ("LW", "*", "2027-01", "29"), ("LW", "*", "2027-02", "26"), ("LW", "*", "2026-12", "31"),
    ("15W", "*", "2026-08", "14"), ("15W", "*", "2026-11", "16"), ("15W", "*", "2026-12", "15"),
    ("15W", "*", "2027-05", "14"), ("1W", "*", "2026-08", "3"), ("1W", "*", "2026-02", "2"),
    ("1W", "*", "2026-12", "1"), ("1W", "*", "2027-05", "3"), ("31W", "*", "2026-05", "29"),
    ("31W", "*", "2026-11", ""), ("31W", "*", "2026-10", "30"), ("30W", "*", "2027-01", "29"),
    ("*", "5#2", "2026-11", "13"), ("*", "1#1", "2026-11", "2"), ("*", "5#5", "2026-05", "29"),
    ("*", "5#5", "2026-06", ""), ("*", "5#5", "2026-07", "31"), ("*", "0#5", "2026-08", "30"),
    ("*", "7#1", "2026-11", "1"), ("*", "fri#1", "2027-01", "1"), ("*", "1#2", "2026-01", "12"),
    ("*", "1#3", "2026-07", "20"), ("*", "3#4", "2026-11", "25"), ("*", "5L", "2026-11", "27"),
    ("*", "monL", "2026-11", "30"), ("*", "0L", "2026-02", "22"), ("*", "7L", "2026-05", "31"),
    ("*", "6L", "2026-10", "31"), ("*", "4L", "2028-02", "24"), ("1,L", "*", "2026-11", "1 30"),
    ("15W,LW", "*", "2026-08", "14 31"), ("*", "1#1,1#3", "2026-11", "2 16"), ("L", "5L", "2026-11", "27 30"),
    ("13", "5#2", "2026-11", "13"), ("1-3,L-1", "*", "2026-02", "1 2 3 27"), ("LW", "*", "2027-10", "29"),
    ("15W", "*", "2027-08", "16"), ("*", "2#3", "2027-09", "21"), ("L-2", "*", "2024-02", "27"),
]  # fmt: skip
# n-th and last business days: weekends, national holidays (内閣府) and 年末年始 are closed.
BUSINESS = [
    ("1B", "2026-01", "5"), ("1B", "2026-02", "2"), ("1B", "2026-05", "1"), ("2B", "2026-05", "7"),
    ("3B", "2026-05", "8"), ("1B", "2026-08", "3"), ("1B", "2026-11", "2"), ("2B", "2026-11", "4"),
    ("1B", "2027-01", "4"), ("5B", "2027-01", "8"), ("6B", "2027-01", "12"), ("1B", "2027-05", "6"),
    ("1B", "2024-01", "4"), ("1B", "2025-01", "6"), ("1B", "2025-05", "1"), ("3B", "2025-05", "7"),
    ("1B", "2022-05", "2"), ("2B", "2022-05", "6"), ("10B", "2026-09", "14"), ("13B", "2026-09", "17"),
    ("15B", "2026-09", "24"), ("23B", "2026-09", ""), ("22B", "2026-06", "30"), ("23B", "2026-07", ""),
    ("22B", "2026-07", "31"), ("LB", "2026-01", "30"), ("LB", "2026-02", "27"), ("LB", "2026-04", "30"),
    ("LB", "2026-05", "29"), ("LB", "2026-10", "30"), ("LB", "2026-11", "30"), ("LB", "2026-12", "28"),
    ("LB", "2027-04", "30"), ("LB", "2027-12", "28"), ("LB", "2025-12", "26"), ("LB", "2024-12", "27"),
    ("LB", "2023-12", "28"), ("LB", "2022-12", "28"), ("LB", "2021-12", "28"), ("LB", "2024-02", "29"),
    ("LB-1", "2026-12", "25"), ("LB-1", "2026-11", "27"), ("LB-1", "2027-04", "28"), ("LB-2", "2026-12", "24"),
    ("LB-5", "2026-12", "21"), ("LB-1", "2026-05", "28"), ("LB-22", "2026-12", ""), ("1B,LB", "2026-12", "1 28"),
    ("LB", "2021-07", "30"), ("15B", "2021-07", "21"), ("16B", "2021-07", "26"), ("6B", "2021-08", "10"),
    ("LB", "2021-05", "31"), ("1B", "2027-09", "1"), ("14B", "2027-09", "21"), ("16B", "2027-09", "24"),
    ("LB", "2027-09", "30"), ("LB", "2024-04", "30"), ("3B", "2024-05", "7"), ("LB-1", "2024-09", "27"),
    ("LB", "2023-04", "28"), ("2B", "2023-05", "2"), ("3B", "2023-05", "8"),
]  # fmt: skip
# 振替 and 起算: an expression's day of month, the rule, a period, the days.
MOVED = [
    ("25", PREVIOUS, "2026-01", "23"), ("25", PREVIOUS, "2026-02", "25"), ("25", PREVIOUS, "2026-04", "24"),
    ("25", PREVIOUS, "2026-07", "24"), ("25", PREVIOUS, "2026-10", "23"), ("25", PREVIOUS, "2027-04", "23"),
    ("25", PREVIOUS, "2027-07", "23"), ("25", PREVIOUS, "2026-12", "25"), ("25", NEXT, "2026-04", "27"),
    ("25", NEXT, "2026-01", "26"), ("20", NEXT, "2026-06", "22"), ("20", NEXT, "2026-09", "24"),
    ("20", NEXT, "2027-03", "23"), ("20", PREVIOUS, "2026-09", "18"), ("20", NEXT, "2026-07", "21"),
    ("20", PREVIOUS, "2026-07", "17"), ("20", NEXT, "2026-12", "21"), ("20", NEXT, "2021-06", "21"),
    ("1", NEXT, "2026-01", "5"), ("1", NEXT, "2026-02", "2"), ("1", NEXT, "2026-03", "2"),
    ("1", NEXT, "2026-08", "3"), ("1", NEXT, "2026-11", "2"), ("1", NEXT, "2027-01", "4"),
    ("1", NEXT, "2027-05", "6"), ("1", NEXT, "2025-01", "6"), ("29", NEXT, "2027-04", "30"),
    ("29", PREVIOUS, "2027-04", "28"), ("3", NEXT, "2026-05", "7"), ("3", PREVIOUS, "2026-05", "1"),
    ("5", NEXT, "2026-05", "7"), ("11", NEXT, "2026-02", "12"), ("23", NEXT, "2026-02", "24"),
    ("23", PREVIOUS, "2026-11", "20"), ("22", NEXT, "2021-07", "26"), ("8", NEXT, "2021-08", "10"),
    ("12", PREVIOUS, "2026-01", "9"), ("31", MODIFIED, "2026-01", "30"), ("31", MODIFIED, "2026-05", "29"),
    ("31", MODIFIED, "2026-10", "30"), ("31", MODIFIED, "2026-12", "28"), ("L", MODIFIED, "2027-02", "26"),
    ("L", MODIFIED, "2026-11", "30"), ("L", MODIFIED, "2026-02", "27"), ("30", MODIFIED, "2027-05", "31"),
    ("31", NEXT, "2026-02", "2"), ("1", ClosedDayRule("previous_open", keep_month=True), "2026-02", "2"),
    ("1", ClosedDayRule("previous_open", keep_month=True), "2027-05", "6"), ("1", PREVIOUS, "2026-12", "1 28"),
    ("31", NEXT, "2027-01", "4"), ("2", ClosedDayRule("next_open", limit_days=4), "2026-05", ""),
    ("2", ClosedDayRule("next_open", limit_days=5), "2026-05", "7"),
    ("29", ClosedDayRule("next_open", limit_days=5), "2027-01", "29"),
    ("29", ClosedDayRule("next_open", limit_days=6), "2027-01", "4 29"), ("1", SKIP, "2026-02", ""),
    ("1", SKIP, "2026-12", "1"), ("23", SKIP, "2026-11", ""), ("22", SKIP, "2026-09", ""),
    ("20", ClosedDayRule(open_days=5), "2026-12", "25"), ("20", ClosedDayRule(open_days=5), "2027-01", "27"),
    ("20", ClosedDayRule(open_days=5), "2026-09", "30"), ("20", ClosedDayRule(open_days=1), "2026-09", "24"),
    ("20", ClosedDayRule(open_days=-1), "2026-09", "18"), ("31", ClosedDayRule(open_days=-10), "2026-12", "15"),
    ("L", ClosedDayRule(open_days=-1), "2026-11", "27"), ("L", ClosedDayRule(open_days=1), "2026-12", "1"),
    ("25", ClosedDayRule("previous_open", open_days=-2), "2026-10", "21"),
    ("10", ClosedDayRule(open_days=3), "2026-11", "13"),
    ("20", ClosedDayRule("next_open", open_days=-2), "2026-12", "17"),
    ("20", ClosedDayRule("skip", open_days=2), "2026-12", ""),
    ("20", ClosedDayRule("skip", open_days=2), "2026-11", "25"), ("31", ClosedDayRule(open_days=1), "2027-01", "4"),
    ("28", ClosedDayRule(open_days=1), "2027-01", "4 29"), ("11", NEXT, "2027-08", "12"),
    ("20", NEXT, "2027-09", "21"), ("23", PREVIOUS, "2027-09", "22"), ("22", PREVIOUS, "2027-03", "19"),
    ("25", PREVIOUS, "2027-12", "24"), ("L", PREVIOUS, "2027-12", "28"), ("6", NEXT, "2024-05", "7"),
    ("12", PREVIOUS, "2024-08", "9"), ("4", PREVIOUS, "2024-11", "1"),
    ("20", ClosedDayRule(open_days=5), "2027-05", "27"),
]  # fmt: skip


def month(text: str) -> tuple[str, str]:
    first = dt.date.fromisoformat(f"{text}-01")
    return f"{first}", f"{(first + 31 * DAY).replace(day=1) - DAY}"


def listed(text: str, days: str) -> list[str]:
    return [f"{text}-{int(day):02d}" for day in days.split()]


@pytest.mark.parametrize(("day", "weekday", "when", "days"), QUARTZ)
def test_special_days_as_quartz_defines_them(day: str, weekday: str, when: str, days: str) -> None:
    assert days_of(schedule(f"0 9 {day} * {weekday}", calendar=None), *month(when)) == listed(when, days)


@pytest.mark.parametrize(("day", "when", "days"), BUSINESS)
def test_business_days_of_the_month(day: str, when: str, days: str) -> None:
    assert days_of(schedule(f"0 18 {day} * *"), *month(when)) == listed(when, days)


@pytest.mark.parametrize(("day", "rule", "when", "days"), MOVED)
def test_days_that_move(day: str, rule: ClosedDayRule, when: str, days: str) -> None:
    assert days_of(schedule(f"0 9 {day} * *", rule), *month(when)) == listed(when, days)


@pytest.mark.parametrize("time", ["0 0", "59 23"])
def test_a_closed_day_is_closed_from_its_first_to_its_last_minute(time: str) -> None:
    assert days_of(schedule(f"{time} * * *", SKIP), "2026-12-28", "2027-01-05") == [
        "2026-12-28", "2027-01-04", "2027-01-05"]  # fmt: skip


def test_nominal_times_that_land_on_one_day_are_one_fire_time() -> None:
    made = schedule("0 9 * * *", NEXT)
    assert days_of(made, "2026-05-01", "2026-05-08") == ["2026-05-01", "2026-05-07", "2026-05-08"]


def test_a_moved_fire_time_tells_its_nominal_time_and_a_dropped_one_its_reason() -> None:
    moved, dropped = schedule("0 9 25 4 *", PREVIOUS), schedule("0 9 23 11 *", SKIP)
    moment = moved.next(dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
    nominal = moved.nominal_for(moment)
    assert (f"{moment:%m-%d %H:%M}", f"{nominal:%m-%d %H:%M}") == ("04-24 00:00", "04-25 00:00")
    since, until = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    assert [(f"{at:%m-%d}", why) for at, why in dropped.skipped(since, until)] == [
        ("11-23", "closed day 勤労感謝の日 (calendar Tokyo office)")
    ]


def test_the_outlook_has_what_runs_and_what_does_not_in_order() -> None:
    made = schedule("0 9 * * *", SKIP)
    rows = made.outlook(3, dt.datetime(2026, 11, 20, 1, tzinfo=dt.UTC))
    assert [(f"{row.moment:%d}", row.runs) for row in rows] == [
        ("21", False), ("22", False), ("23", False), ("24", True), ("25", True), ("26", True)]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "rule", "reason"),
    [
        ("0 9 1 1 *", SKIP, "It never fires"),
        ("0 9 31W 2 *", ClosedDayRule(), "It never fires"),
        ("0 9 23 11 *", ClosedDayRule("next_open", limit_days=1, keep_month=True), ""),
    ],
)
def test_a_schedule_that_never_fires_is_told(expression: str, rule: ClosedDayRule, reason: str) -> None:
    made = schedule(expression, rule)
    if not reason:
        assert made.next(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        return
    with pytest.raises(CronError, match=reason):
        made.next(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


FIRST = dt.date(2026, 3, 1)
DATES = st.integers(0, 420).map(lambda number: FIRST - 30 * DAY + number * DAY)


@st.composite
def calendars(draw: st.DrawFn) -> BusinessDays:
    """A calendar; its key tells its days, because schedules of equal keys share what was computed."""
    weekend, country = frozenset(draw(st.sets(st.integers(1, 7), max_size=3))), draw(st.sampled_from(["", "JP"]))
    opened, closed = frozenset(draw(st.sets(DATES, max_size=15))), draw(st.sets(DATES, max_size=40))
    key = f"{sorted(weekend)} {country} {sorted(opened)} {sorted(closed)}"
    return BusinessDays(key, "Random", weekend, country, opened, dict.fromkeys(closed, "closed"))


RULES = st.builds(
    ClosedDayRule,
    st.sampled_from(["run", "skip", "next_open", "previous_open"]),
    st.integers(1, 31),
    st.booleans(),
    st.integers(-20, 20),
)
EXPRESSIONS = st.sampled_from(
    [
        "0 9 * * *",
        "0 0 1 * *",
        "30 23 L * *",
        "0 9 15,20 * *",
        "0 9 * * 1-5",
        "0 9 2B,LB * *",
        "0 9 * * 5#2",
        "0 9 25 * 1",
    ]
)


def brute_force(made: Schedule, days: BusinessDays, rule: ClosedDayRule) -> set[dt.date]:
    """The days on which it fires, each nominal day moved step by step."""
    found = set()
    for number in range(-200, 620):
        day = FIRST + number * DAY
        if not made.tab.matches_day(day, days):
            continue
        if days.closed_because(day) and rule.on_closed_day != "run":
            found_open = None
            for step in (1, -1) if rule.on_closed_day == "next_open" else (-1, 1):
                near = [day + step * far * DAY for far in range(1, rule.limit_days + 1)]
                opened = [one for one in near if days.is_open(one)]
                leaves = bool(opened) and rule.keep_month and opened[0].month != day.month
                if not leaves:
                    found_open = opened[0] if opened else None
                    break
            if rule.on_closed_day == "skip" or found_open is None:
                continue
            day = found_open
        left, walked = abs(rule.open_days), 0
        while left and walked < 92:
            day += DAY if rule.open_days > 0 else -DAY
            walked += 1
            left -= days.is_open(day)
        if not left:
            found.add(day)
    return found


def test_the_last_fire_time_of_a_calendar_is_one() -> None:
    """Its second Fridays are closed, and of the days before them only one is open."""
    thursday = dt.date(2026, 9, 10)
    days = BusinessDays("last", "Last", frozenset({4, 5}), "", frozenset({thursday}), {})
    made = schedule_of("0 9 * * 5#2", None, days, ClosedDayRule("previous_open", 1, False, 0))
    before, last = (dt.datetime.combine(day, dt.time(9), made.zone) for day in (dt.date(2026, 9, 1), thursday))
    assert list(made.between(before, before + 90 * DAY)) == made.upcoming(3, before) == [last]
    # Pages that show a later day show that it does not fire; who asks for its next fire time is told that it has none.
    assert list(made.between(last, last + 90 * DAY)) == made.minutes_of(dt.date(2026, 10, 9)) == []
    assert not made.is_at(last + 30 * DAY)
    for ask in (made.next, lambda moment: made.upcoming(1, moment)):
        with pytest.raises(CronError, match="never fires"):
            ask(last)


@given(EXPRESSIONS, calendars(), RULES)
def test_it_fires_on_the_days_of_a_brute_force_walk(expression: str, days: BusinessDays, rule: ClosedDayRule) -> None:
    made = schedule_of(expression, None, days, rule)
    expected = {day for day in brute_force(made, days, rule) if FIRST <= day < FIRST + 400 * DAY}
    begin = dt.datetime.combine(FIRST, dt.time(), made.zone) - dt.timedelta(microseconds=1)
    times = list(made.between(begin, begin + dt.timedelta(days=400)))
    assert {moment.astimezone(made.zone).date() for moment in times} == expected
    assert times == sorted(set(times))
    # Every other question has the same answer.
    for moment in times[:5]:
        local = moment.astimezone(made.zone)
        assert made.is_at(moment)
        assert made.fires_on(local.date())
        assert local.hour * 60 + local.minute in made.minutes_of(local.date())
        assert made.previous(moment + dt.timedelta(minutes=1)) == moment
