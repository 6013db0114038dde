"""Expressions of Quartz, one a line: the expression in double quotes or before a tab, then what it is for (Quartz:
"CronTrigger Tutorial").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from moving.day_numbers import NotOurs, five_fields
from moving.entries import Call, Entry, call_of, safely

_LINE = re.compile(r'"(?P<quoted>[^"]+)"\s*(?P<after>.*)|(?P<plain>(?:\S+\s+){5,6}?\S+)(?:\t+(?P<rest>.*))?')


def read(text: str) -> Iterator[Entry]:
    """The entries of a list."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield safely(_entry, f"line {number}", number, stripped)


def _entry(number: int, line: str) -> Entry:
    found = _LINE.fullmatch(line)
    written = ((found["quoted"] or found["plain"]) if found else line).strip()
    about = ((found["after"] or found["rest"] or "") if found else "").strip()
    is_url = about.startswith(("http://", "https://"))
    call = Call({"target_url": about}) if is_url else call_of(about)
    entry = Entry(f"line {number}", about or f"line {number}", written, target=call.target, changes=call.changes)
    fields = written.split()
    if len(fields) not in {6, 7}:
        return entry.with_problem("an expression of Quartz has six or seven fields, the first for seconds")
    if fields[0] != "0":
        return entry.with_problem(f"it names seconds ({fields[0]}): a job fires at whole minutes")
    if len(fields) == 7 and fields[6] != "*":
        return entry.with_problem(f"it is limited to the year {fields[6]}: use the start and end date")
    try:
        entry = entry._replace(cron=five_fields(*fields[1:6]))
    except NotOurs as exc:
        return entry.with_problem(str(exc))
    return entry if call.target else entry.with_change("what it starts is not called")
