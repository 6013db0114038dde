"""Expressions in which Sunday is 1 (Quartz, EventBridge): the weekday field with our numbers, where Sunday is 0.

Quartz: "CronTrigger Tutorial"; Amazon EventBridge: "Setting a schedule pattern". Both write `?` in one of the day
fields, and have names (SUN-SAT), `L`, `W` and `#`.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![#/\d])(\d+)", re.ASCII)
_NAME = re.compile(r"[A-Za-z]{3}", re.ASCII)


class NotOurs(ValueError):
    """An expression that ours cannot express; the message says why."""


def weekday(field: str) -> str:
    """The weekday field with Sunday as 0. Raises `NotOurs` for a number that is no day."""
    if field in {"*", "?"}:
        return "*"
    if field.upper() == "L":
        # Alone it is the last day of the week, Saturday.
        return "6"
    return ",".join(_item(item) for item in field.split(","))


def _item(item: str) -> str:
    body, slash, step = item.partition("/")
    if slash and not body.startswith("*") and "-" not in body:
        # From this day to the end of the week.
        body = f"{body}-7" if body.isdigit() else f"{body}-SAT"
    return f"{_NUMBER.sub(_ours, body)}{slash}{step}"


def _ours(found: re.Match[str]) -> str:
    number = int(found[1])
    if not 1 <= number <= 7:
        raise NotOurs(f"the weekday {number} does not exist: 1 is Sunday, 7 is Saturday")
    return str(number - 1)


def five_fields(minute: str, hour: str, day: str, month: str, week: str) -> str:
    """Our expression for these fields. Raises `NotOurs` for what ours cannot express."""
    if day not in {"*", "?"} and week not in {"*", "?"}:
        raise NotOurs("it names both a day of the month and a weekday")
    fields = (_steps(minute, 59), _steps(hour, 23), _steps("*" if day == "?" else day, 31), _steps(month, 12))
    return " ".join([*fields, weekday(week)])


def _steps(field: str, last: int) -> str:
    """Write `5/15` as `5-59/15`, because our expressions have no step without a range."""
    return ",".join(
        re.sub(r"^(\d+)/(\d+)$", rf"\1-{last}/\2", item, flags=re.ASCII) for item in field.upper().split(",")
    )


def with_ranges(expression: str) -> str:
    """Five fields of crontab(5)'s numbers, with `20/15` written as `20-59/15`; other texts stay as they are."""
    fields = expression.split()
    lasts = (59, 23, 31, 12, 6)
    if len(fields) != len(lasts):
        return expression
    return " ".join(_steps(field, last) if "/" in field else field for field, last in zip(fields, lasts, strict=True))
