"""Schedules in words: what they say is what fires."""

from __future__ import annotations

import re

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from calendars.business_days import BusinessDays
from jobs.schedules import crontab
from jobs.schedules.schedule import ClosedDayRule, schedule_of
from jobs.schedules.words import describe

_CASES = [
    ("0 9 * * *", "At 09:00", "毎日 09:00"),
    ("* * * * *", "Every minute", "毎分"),
    ("*/15 * * * *", "Every 15 minutes", "15分ごと"),
    ("0 * * * *", "Every hour", "毎時"),
    ("5 */2 * * *", "Every 2 hours from 00:05", "毎日 00:05から2時間ごと"),
    ("0 9 * * 1-5", "At 09:00, Monday through Friday", "平日 09:00"),
    ("0 12 * * mon", "At 12:00, only on Monday", "毎週月曜 12:00"),
    ("0 0 1 * *", "At 00:00, on day 1 of the month", "毎月1日 00:00"),
    ("30 0 1 1 *", "At 00:30, on day 1 of the month, only in January", "毎年1月1日 00:30"),
    (
        "*/5 9-17 * * 1-5",
        "Every 5 minutes, between 09:00 and 17:59, Monday through Friday",
        "平日 09:00～17:59の5分ごと",
    ),
    # Two restricted day fields: either day fires, unless one begins with `*`.
    (
        "0 9 1 * 1-5",
        "At 09:00, on day 1 of the month or on Monday through Friday",
        "毎月1日、または月曜～金曜 09:00",
    ),
    (
        "0 16 */2 * sat",
        "At 16:00, every 2 days from day 1 of the month and only on Saturday",
        "毎月1日から2日ごと、かつ土曜 16:00",
    ),
    # Forms whose text says more than what they match.
    ("*/90 * * * *", "Every hour", "毎時"),
    ("1-5/10 * * * *", "At minute 1 of every hour", "毎時1分"),
    ("0 0 */40 * *", "At 00:00, on day 1 of the month", "毎月1日 00:00"),
    ("*/7 * * * *", "Every 7 minutes from minute 0 to 56 of every hour", "毎時0分～56分の7分ごと"),
    ("0 0 * * 07", "At 00:00, only on Sunday", "毎週日曜 00:00"),
    ("0 9 * * *,6", "At 09:00", "毎日 09:00"),
    ("0 9 * *,2 *", "At 09:00", "毎日 09:00"),
    ("0 9 1-31 * mon", "At 09:00", "毎日 09:00"),
    ("0 18 L * *", "At 18:00, on the last day of the month", "毎月月末 18:00"),
    ("0 18 LW * *", "At 18:00, on the last weekday of the month", "毎月最終平日 18:00"),
    (
        "0 9 15W 4 *",
        "At 09:00, on the weekday nearest to day 15 of the month, only in April",
        "毎年4月15日に最も近い平日 09:00",
    ),
    ("0 9 * * 5#2", "At 09:00, on the 2nd Friday of the month", "毎月第2金曜 09:00"),
    ("0 9 * * 1,5L", "At 09:00, on Monday and the last Friday of the month", "毎月月曜・最終金曜 09:00"),
    ("0 18 LB * *", "At 18:00, on the last business day of the month", "毎月最終営業日 18:00"),
    (
        "0 18 3B,LB-1 * *",
        "At 18:00, on the 3rd business day and 1 business day before the last business day of the month",
        "毎月第3営業日・最終営業日の1営業日前 18:00",
    ),
    (
        "0 9 1,L-3 * *",
        "At 09:00, on day 1 of the month and 3 days before the last day of the month",
        "毎月1日・月末の3日前 09:00",
    ),
    ("0 9 L * 5L", "At 09:00, on the last day or the last Friday of the month", "毎月月末、または最終金曜 09:00"),
    ("0 */8,9 * * *", "At 00:00, 08:00, 09:00 and 16:00", "毎日 00:00・08:00・09:00・16:00"),
    # What teams write most.
    ("30 8 * * *", "At 08:30", "毎日 08:30"),
    ("0 0 * * *", "At 00:00", "毎日 00:00"),
    ("0 12 * * *", "At 12:00", "毎日 12:00"),
    ("15 6,18 * * *", "At 06:15 and 18:15", "毎日 06:15・18:15"),
    ("0 9,12,15 * * *", "At 09:00, 12:00 and 15:00", "毎日 09:00・12:00・15:00"),
    ("0 */3 * * *", "Every 3 hours", "3時間ごと"),
    ("30 * * * *", "At minute 30 of every hour", "毎時30分"),
    ("0,30 * * * *", "Every 30 minutes", "30分ごと"),
    ("*/10 * * * *", "Every 10 minutes", "10分ごと"),
    ("*/20 9-17 * * *", "Every 20 minutes, between 09:00 and 17:59", "毎日 09:00～17:59の20分ごと"),
    ("0 9-17 * * 1-5", "Every hour from 09:00 to 17:00, Monday through Friday", "平日 09:00～17:00の毎時"),
    ("0 9 * * 0,6", "At 09:00, only on Saturday and Sunday", "土日 09:00"),
    ("0 9 * * 6", "At 09:00, only on Saturday", "毎週土曜 09:00"),
    ("0 9 * * 1,3,5", "At 09:00, only on Monday, Wednesday and Friday", "毎週月曜・水曜・金曜 09:00"),
    ("0 9 * * 2-4", "At 09:00, Tuesday through Thursday", "毎週火曜～木曜 09:00"),
    ("0 0 15 * *", "At 00:00, on day 15 of the month", "毎月15日 00:00"),
    ("0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month", "毎月1日・15日 00:00"),
    ("0 9 1-5 * *", "At 09:00, on days 1 to 5 of the month", "毎月1日～5日 09:00"),
    ("0 9 31 * *", "At 09:00, on day 31 of the month", "毎月31日 09:00"),
    ("0 9 29 2 *", "At 09:00, on day 29 of the month, only in February", "毎年2月29日 09:00"),
    ("0 0 1 4 *", "At 00:00, on day 1 of the month, only in April", "毎年4月1日 00:00"),
    ("0 0 1 1,7 *", "At 00:00, on day 1 of the month, only in January and July", "1月・7月の1日 00:00"),
    (
        "0 0 1 */3 *",
        "At 00:00, on day 1 of the month, only in January, April, July and October",
        "1月・4月・7月・10月の1日 00:00",
    ),
    ("0 9 * 3 *", "At 09:00, only in March", "3月の毎日 09:00"),
    ("0 9 * 4-9 1-5", "At 09:00, Monday through Friday, only in April through September", "4月～9月の平日 09:00"),
    ("0 18 25 * *", "At 18:00, on day 25 of the month", "毎月25日 18:00"),
    ("0 18 L 3 *", "At 18:00, on the last day of the month, only in March", "毎年3月月末 18:00"),
    ("0 9 1B * *", "At 09:00, on the 1st business day of the month", "毎月第1営業日 09:00"),
    ("0 9 3B 1 *", "At 09:00, on the 3rd business day of the month, only in January", "毎年1月第3営業日 09:00"),
    (
        "0 18 LB-1 * *",
        "At 18:00, 1 business day before the last business day of the month",
        "毎月最終営業日の1営業日前 18:00",
    ),
    ("0 9 L-3 * *", "At 09:00, 3 days before the last day of the month", "毎月月末の3日前 09:00"),
    ("0 9 * * 1L", "At 09:00, on the last Monday of the month", "毎月最終月曜 09:00"),
    ("0 9 * * 1#1", "At 09:00, on the 1st Monday of the month", "毎月第1月曜 09:00"),
    ("23 5 * * *", "At 05:23", "毎日 05:23"),
    ("*/30 0-6 * * *", "Every 30 minutes, between 00:00 and 06:59", "毎日 00:00～06:59の30分ごと"),
    ("0 22 * * 5", "At 22:00, only on Friday", "毎週金曜 22:00"),
    ("59 23 31 12 *", "At 23:59, on day 31 of the month, only in December", "毎年12月31日 23:59"),
    ("@hourly", "Every hour", "毎時"),
    ("@weekly", "At 00:00, only on Sunday", "毎週日曜 00:00"),
    ("@manually", "By hand and at single times only", "手動または日時指定の実行のみ"),
]


@pytest.mark.parametrize(("expression", "english", "japanese"), _CASES)
def test_words_of_a_schedule(expression: str, english: str, japanese: str) -> None:
    tab = crontab.parse(expression)
    assert (describe(tab, "en"), describe(tab, "ja")) == (english, japanese)


@pytest.mark.parametrize(
    ("rule", "english", "japanese"),
    [
        (ClosedDayRule("skip"), "not on closed days", "休業日は実行しない"),
        (ClosedDayRule("next_open"), "moved from closed days to the next open day", "休業日は翌営業日に振替"),
        (
            ClosedDayRule("previous_open", keep_month=True),
            "moved from closed days to the previous open day within the month",
            "休業日は前営業日に振替（同じ月の中で）",
        ),
        (ClosedDayRule(open_days=5), "5 open days later", "その5営業日後"),
        (
            ClosedDayRule("next_open", open_days=-1),
            "moved from closed days to the next open day, then 1 open day earlier",
            "休業日は翌営業日に振替、その1営業日前",
        ),
    ],
)
def test_words_of_a_rule_for_closed_days(rule: ClosedDayRule, english: str, japanese: str) -> None:
    days = BusinessDays("words", "東京")
    made = schedule_of("0 9 20 * *", None, days, rule)
    with translation.override("en"):
        assert made.describe() == f"At 09:00, on day 20 of the month, {english} (calendar 東京)"
    with translation.override("ja"):
        assert made.describe() == f"毎月20日 09:00（{japanese}、カレンダー: 東京）"


def _fields(low: int, high: int) -> st.SearchStrategy[str]:
    def item(first: int, length: int, step: int, form: int) -> str:
        last = min(high, first + length)
        return ["*", f"*/{step}", f"{first}-{last}", f"{first}-{last}/{step}", f"{first:02}"][form]

    items = st.builds(item, st.integers(low, high), st.integers(0, 20), st.integers(1, 99), st.integers(0, 4))
    return st.lists(items, min_size=1, max_size=4).map(",".join)


@given(st.tuples(_fields(0, 59), _fields(0, 23), _fields(1, 31), _fields(1, 12), _fields(0, 7)))
def test_every_valid_expression_has_words_in_both_languages(fields: tuple[str, ...]) -> None:
    try:
        tab = crontab.parse(" ".join(fields))
    except crontab.CronError:
        return
    english, japanese = describe(tab, "en"), describe(tab, "ja")
    assert english.isascii()
    assert not re.search("[A-Za-z]", japanese)
    # Each single minute or hour that is named fires.
    for hour, minute in re.findall(r"(\d\d):(\d\d)", english):
        assert int(hour) in tab.hour.values
        assert minute == "59" or int(minute) in tab.minute.values or "between" in english
