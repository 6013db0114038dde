"""Files of crontab(5): user crontabs, and system crontabs with a user in the sixth field."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moving.entries import Entry, call_of, safely, zone_of

_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_USER = re.compile(r"[a-z_][a-z0-9_-]*\$?")


def read(text: str, *, has_users: bool = False) -> Iterator[Entry]:
    """The entries of a crontab. `has_users`: the sixth field is a user, as in /etc/crontab and /etc/cron.d."""
    zone, about = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped:
            about = ""
        elif stripped.startswith("#"):
            about = stripped.lstrip("# ").strip()
        elif found := _VARIABLE.fullmatch(line):
            # TZ is for the commands only (crontab(5) of cronie and Debian).
            if found[1] == "CRON_TZ":
                zone = zone_of(found[2].strip().strip("\"'"))
        else:
            yield safely(_entry, f"line {number}", number, stripped, zone, about, has_users=has_users)
            about = ""


def _entry(number: int, line: str, zone: str, about: str, *, has_users: bool) -> Entry:
    count = 1 if line.startswith("@") else 5
    words = line.split(None, count + (1 if has_users else 0))
    schedule, rest = " ".join(words[:count]), words[count:]
    command = rest[-1] if len(rest) == (2 if has_users else 1) else ""
    name = about or command[:80] or f"line {number}"
    entry = Entry(f"line {number}", name, schedule, schedule, zone)
    if not command or (has_users and not _USER.fullmatch(rest[0])):
        return entry.with_problem("the line is no entry of a crontab")
    if schedule.lower() == "@reboot":
        return entry.with_problem("@reboot is no time: it runs when a machine starts")
    if "%" in re.sub(r"\\%", "", command):
        return entry.with_problem("the command gets an input after %, which a webhook does not")
    call = call_of(command.replace(r"\%", "%"))
    if call.target:
        return entry._replace(target=call.target).with_change(*call.changes)
    return entry.with_change(f"the command '{command[:120]}' is not run")
