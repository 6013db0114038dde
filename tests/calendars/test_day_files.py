"""Days of a calendar from text, CSV and iCalendar."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from calendars.day_files import Day, read_file, read_lines, to_lines
from core.api.errors import Invalid

TOKYO = ZoneInfo("Asia/Tokyo")
YEAR_END = dt.date(2026, 12, 31)


def ics(*events: str) -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *events, "END:VCALENDAR", ""]).encode()


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT"])


def test_lines_are_read_and_written_alike() -> None:
    text = "2026-12-31 closed 年末 年始\n2027-01-09 open"
    days = read_lines(text)
    assert days == [Day(YEAR_END, False, "年末 年始"), Day(dt.date(2027, 1, 9), True)]
    assert read_lines(to_lines(days)) == days
    assert read_lines("2026/12/31 年末年始\n\n2027-1-9,営業日,出勤") == [
        Day(YEAR_END, False, "年末年始"), Day(dt.date(2027, 1, 9), True, "出勤")]  # fmt: skip


def test_csv_is_read_with_or_without_titles_and_in_the_encoding_of_japanese_spreadsheets() -> None:
    rows = "日付,区分,名称\n2026-12-31,休業日,年末年始\n2027-01-09,営業日,\n"
    expected = [Day(YEAR_END, False, "年末年始"), Day(dt.date(2027, 1, 9), True)]
    assert read_file(rows.encode("utf-8-sig"), "days.csv", TOKYO) == expected
    assert read_file(rows.encode("cp932"), "days.csv", TOKYO) == expected
    assert read_file(b"2026-12-31\n", "days.csv", TOKYO) == [Day(YEAR_END)]


def test_all_day_events_are_closed_days() -> None:
    content = ics(
        event("DTSTART;VALUE=DATE:20261229", "DTEND;VALUE=DATE:20270101", "SUMMARY:年末年始"),
        event("DTSTART;VALUE=DATE:20270401", "SUMMARY:創立記念日"),
        event("DTSTART:20270402T090000Z", "DTEND:20270402T100000Z", "SUMMARY:A meeting"),
    )
    assert [(str(day.date), day.label) for day in read_file(content, "days.ics", TOKYO)] == [
        ("2026-12-29", "年末年始"), ("2026-12-30", "年末年始"), ("2026-12-31", "年末年始"),
        ("2027-04-01", "創立記念日"),
    ]  # fmt: skip


def test_events_from_midnight_to_midnight_of_the_calendars_zone_are_closed_days() -> None:
    content = ics(
        event("DTSTART;TZID=Asia/Tokyo:20261229T000000", "DTEND;TZID=Asia/Tokyo:20261231T000000", "SUMMARY:A"),
        event("DTSTART:20261230T150000Z", "DTEND:20261231T150000Z", "SUMMARY:B"),
        event("DTSTART:20270401T000000", "DTEND:20270402T000000", "SUMMARY:C"),
        event("DTSTART:20270402T000000Z", "DTEND:20270403T000000Z", "SUMMARY:midnight elsewhere"),
        event("DTSTART:20270404T000000", "DTEND:20270404T120000", "SUMMARY:half a day"),
    )
    found = [(str(day.date), day.label) for day in read_file(content, "days.ics", TOKYO)]
    assert found == [("2026-12-29", "A"), ("2026-12-30", "A"), ("2026-12-31", "B"), ("2027-04-01", "C")]
    assert [day.label for day in read_file(content, "days.ics", ZoneInfo("UTC"))] == ["C", "midnight elsewhere"]


def test_events_are_read_by_the_rules_of_rfc_5545() -> None:
    content = ics(
        event("DTSTART;VALUE=DATE:20261229", "DURATION:P3D", "SUMMARY:three, days"),
        event("DTSTART:20270105T000000", "DURATION:PT1H", "SUMMARY:an hour"),
        event("DTSTART:20270106T000000", "SUMMARY:an instant"),
        event("DTSTART:20270107T000000", "DURATION:P1D", "SUMMARY:a day\\nof\x00 rest"),
        event("DTSTART;VALUE=DATE:20270108", "STATUS:CANCELLED", "SUMMARY:off"),
        event("DTSTART;VALUE=DATE:20270109", "DTEND;VALUE=DATE:20270109", "SUMMARY:one", "SUMMARY:two"),
    )
    found = [(str(day.date), day.label) for day in read_file(content, "days.ics", TOKYO)]
    assert found == [("2026-12-29", "three, days"), ("2026-12-30", "three, days"), ("2026-12-31", "three, days"),
                     ("2027-01-07", "a day of rest"), ("2027-01-09", "one")]  # fmt: skip
    assert read_file(content.replace(b"BEGIN:VCALENDAR", b"begin:vcalendar"), "x", TOKYO)


def test_labels_keep_their_commas() -> None:
    days = read_lines("2026-12-31 closed 年末,年始\n2027-01-01,休業日,a, b")
    assert [day.label for day in days] == ["年末,年始", "a, b"]
    assert read_lines(to_lines(days)) == days


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"2026-12-31\n2026-02-30\n", "Row 2: '2026-02-30' is no date"),
        (b"1026-12-31\n", "out of range"),
        (ics(event("DTSTART;VALUE=DATE:20261229", "RRULE:FREQ=YEARLY", "SUMMARY:New year")), "'New year' recurs"),
        (ics(event("DTSTART;VALUE=DATE:20200101", "DTEND;VALUE=DATE:20300101", "SUMMARY:Ten")), "longer than a year"),
        (b"BEGIN:VCALENDAR\r\nnonsense", "no iCalendar file"),
        (ics(event("DTSTART;VALUE=DATE:2026123", "SUMMARY:odd")), "'odd' cannot be read"),
        (ics(event("DTSTART;TZID=Mars/One:20261229T000000", "DURATION:P1D")), "'Mars/One' is unknown"),
        (ics(event("DTSTART;VALUE=DATE:20261229", "DTSTART;VALUE=DATE:20261230")), "several DTSTART"),
        (ics(event("DTSTART;VALUE=DATE:20261229", "DTEND;VALUE=DATE:20261201")), "ends before it begins"),
        (ics(event("SUMMARY:never")), "no DTSTART"),
        (ics(event("DTSTART;VALUE=DATE:99991231")), "cannot be read"),
        (ics(event("DTSTART;VALUE=DATE:20261229", "DURATION:P9999999D")), "cannot be read"),
        (ics(event("DTSTART;VALUE=PERIOD:20261229T000000Z/P1D")), "no day and no time"),
        (ics(event("DTSTART;VALUE=TIME:120000")), "no day and no time"),
        (ics(event("DTSTART;VALUE=DATE:20261229", "DTEND;VALUE=TIME:120000")), "no day and no time"),
        (b"x" * (1024 * 1024 + 1), "larger than 1024 KiB"),
        (ics(*[event("DTSTART;VALUE=DATE:20261229")] * 5001), "at most 5000 days"),
        (b"\n".join(f"{dt.date(2000, 1, 1) + dt.timedelta(days=n)}".encode() for n in range(5001)), "at most 5000"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read_file(content, "days", TOKYO)


def test_the_last_entry_of_a_date_counts() -> None:
    assert read_lines("2026-12-31 closed\n2026-12-31 open") == [Day(YEAR_END, True)]
