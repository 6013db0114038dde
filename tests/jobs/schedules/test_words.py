"""Schedules in words: what they say is what fires."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules import crontab
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
    ("0 */8,9 * * *", "At 00:00, 08:00, 09:00 and 16:00", "毎日 00:00・08:00・09:00・16:00"),
]


@pytest.mark.parametrize(("expression", "english", "japanese"), _CASES)
def test_words_of_a_schedule(expression: str, english: str, japanese: str) -> None:
    tab = crontab.parse(expression)
    assert (describe(tab, "en"), describe(tab, "ja")) == (english, japanese)


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
