"""The schedules of a workflow file, and the file without them (GitHub: "Events that trigger workflows", `schedule`)."""

from __future__ import annotations

import difflib
import re
from typing import Any, NamedTuple

import yaml

from executions.targets.github import workflow_inputs
from executions.targets.github.workflow_inputs import Unreadable

_TRIGGERS = "workflow_dispatch"
# What expressions and scripts write in several ways: `a.b` or `a['b']`, any spaces, either side first.
_SCHEDULE = re.compile(r"\bgithub\s*\.\s*event\s*(?:\.\s*|\[\s*['\"])schedule\b")
_QUOTED = r"""['"]schedule['"]"""
_COMPARED = r"\s*[!=]?=\s*"
_EVENT_NAME = r"""event_name['"]?\s*\]?"""
_EVENT = re.compile(
    rf"{_EVENT_NAME}{_COMPARED}{_QUOTED}|{_QUOTED}{_COMPARED}github\b[^\n]{{0,8}}event_name", re.IGNORECASE
)


class Timed(NamedTuple):
    """One entry of `on.schedule`. `zone`: '' if it names none."""

    cron: str
    zone: str


class WorkflowFile(NamedTuple):
    """What a workflow file says of its schedules. `problems`: why a job cannot take their place; `changes`: what is
    different then. `removal`: the patch that removes them; '' if the lines cannot be told.
    """

    timed: tuple[Timed, ...]
    problems: tuple[str, ...]
    changes: tuple[str, ...]
    removal: str


def read(path: str, text: str) -> WorkflowFile:
    """Raises `Unreadable` with the reason."""
    timed = schedules(text)
    problems: list[str] = []
    if timed:
        try:
            for name, spec in workflow_inputs.declared(text).items():
                if workflow_inputs.must_be_given(spec):
                    problems.append(f"its input '{name}' is required and has no default")
        except Unreadable as exc:
            problems.append(str(exc).rstrip("."))
    if _SCHEDULE.search(text):
        problems.append("it uses github.event.schedule, which a dispatch does not have")
    changes = ["it asks whether the event is 'schedule'"] if _EVENT.search(text) else []
    return WorkflowFile(timed, tuple(problems), tuple(changes), removal(path, text) if timed else "")


def schedules(text: str) -> tuple[Timed, ...]:
    """The entries of `on.schedule`. Raises `Unreadable`."""
    events = _mapping(workflow_inputs.loaded(text).get("on"))
    found = events.get("schedule") or []
    rows = [_mapping(one) for one in found] if isinstance(found, list) else []
    return tuple(Timed(str(row["cron"]), str(row.get("timezone") or "")) for row in rows if row.get("cron"))


def removal(path: str, text: str) -> str:
    """A unified diff that removes `schedule` from `on`; '' if what is left would not be the same otherwise."""
    lines = text.splitlines(keepends=True)
    left = _without_schedule(text, lines)
    try:
        before, after = workflow_inputs.loaded(text), workflow_inputs.loaded("".join(left))
    except Unreadable:
        return ""
    events = _mapping(before.get("on"))
    events.pop("schedule", None)
    if after != {**before, "on": events}:
        return ""
    return "".join(_ended(line) for line in difflib.unified_diff(lines, left, f"a/{path}", f"b/{path}"))


def _ended(line: str) -> str:
    """A line of a diff; the last one of a file without a final newline is marked (GNU diff: "Incomplete Lines")."""
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _without_schedule(text: str, lines: list[str]) -> list[str]:
    """The lines without the key `schedule` of `on` and its value; all of them if it cannot be found."""
    try:
        root = yaml.compose(text, Loader=workflow_inputs.Loader)
    except (yaml.YAMLError, RecursionError, Unreadable):
        return lines
    events = _value(root, "on")
    for key, value in events.value if isinstance(events, yaml.MappingNode) else []:
        if key.value != "schedule":
            continue
        if events.flow_style:
            return _without_flow(text, key.start_mark.index, value.end_mark.index).splitlines(keepends=True)
        # The end mark of a block is at the next token: blank lines and comments before it stay.
        first, last = key.start_mark.line, max(value.end_mark.line, key.start_mark.line + 1)
        if value.flow_style or value.end_mark.index >= len(text):
            last = value.end_mark.line + 1
        while last > first + 1 and not _is_content(lines[last - 1]):
            last -= 1
        return lines[:first] + lines[last:]
    return lines


def _without_flow(text: str, start: int, end: int) -> str:
    """A flow mapping without the entry between two places, and without one comma."""
    before, after = text[:start], text[end:]
    if after.lstrip().startswith(","):
        return before + after.lstrip()[1:].lstrip(" ")
    return (before.rstrip()[:-1] if before.rstrip().endswith(",") else before) + after


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


def _value(node: Any, name: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
