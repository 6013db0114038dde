"""Rules and schedules of Amazon EventBridge, as `aws events list-rules` and `aws scheduler get-schedule` print them
(Amazon EventBridge: "Setting a schedule pattern"; EventBridge Scheduler:
"Schedule types").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moving.day_numbers import NotOurs, five_fields
from moving.entries import Entry, read_json, safely, zone_of

_CRON = re.compile(r"cron\((.+)\)")
_RATE = re.compile(r"rate\((\d{1,6})\s+(minute|hour|day)s?\)")


def read(text: str) -> Iterator[Entry]:
    """The entries of an export. Raises `Nothing to import` for what is no JSON."""
    told = read_json(text)
    if isinstance(told, dict):
        told = told.get("Rules") or told.get("Schedules") or [told]
    for number, one in enumerate(told if isinstance(told, list) else [], 1):
        # A rule may match events in place of times.
        if isinstance(one, dict) and one.get("ScheduleExpression"):
            yield safely(_entry, f"rule {number}", number, one)


def _entry(number: int, one: dict[str, Any]) -> Entry:
    written = str(one["ScheduleExpression"]).strip()
    name = str(one.get("Name") or f"rule {number}")
    entry = Entry(
        str(one.get("Arn") or name), name, written, zone=zone_of(str(one.get("ScheduleExpressionTimezone") or "UTC"))
    )
    entry = entry.with_change("its target at AWS is not called")
    if str(one.get("State", "ENABLED")).upper() == "DISABLED":
        entry = entry.with_change("it is disabled")
    if one.get("StartDate") or one.get("EndDate"):
        entry = entry.with_change("its start and end date are not taken over")
    window = one.get("FlexibleTimeWindow")
    if (
        isinstance(window, dict)
        and window.get("Mode") == "FLEXIBLE"
        and isinstance(window.get("MaximumWindowInMinutes"), int)
    ):
        seconds = min(60 * int(window["MaximumWindowInMinutes"]), 3600)
        entry = entry._replace(fields={"jitter_seconds": seconds}).with_change(
            f"its flexible window becomes a jitter of {seconds} s"
        )
    return _with_times(entry, written)


def _with_times(entry: Entry, written: str) -> Entry:
    if found := _CRON.fullmatch(written):
        fields = found[1].split()
        if len(fields) != 6:
            return entry.with_problem("an expression of EventBridge has six fields")
        if fields[5] != "*":
            return entry.with_problem(f"it is limited to the year {fields[5]}: use the start and end date")
        try:
            return entry._replace(cron=five_fields(*fields[:5]))
        except NotOurs as exc:
            return entry.with_problem(str(exc))
    if found := _RATE.fullmatch(written):
        return _of_rate(entry, int(found[1]), found[2])
    if written.startswith("at("):
        return entry.with_problem("it runs once, at one time: plan a single run of a job")
    return entry.with_problem("the expression is none of EventBridge's")


def _of_rate(entry: Entry, number: int, unit: str) -> Entry:
    change = "a rate counts from when the rule was made; the job has fixed times"
    if unit == "minute" and number and 60 % number == 0:
        return entry._replace(cron=f"*/{number} * * * *" if number > 1 else "* * * * *").with_change(change)
    if unit == "hour" and number and 24 % number == 0:
        return entry._replace(cron=f"0 */{number} * * *" if number > 1 else "0 * * * *").with_change(change)
    if unit == "day" and number == 1:
        return entry._replace(cron="0 0 * * *").with_change(change)
    return entry.with_problem(f"a rate of {number} {unit}s has no fixed times")
