"""Which answers of a webhook are a success: a list of statuses, and a rule for the body.

`success_status` is such as `200-299,409`. `success_body` is one of `contains TEXT`, `lacks TEXT`, `matches REGEX`
(RE2, whose time is linear in the text), or `POINTER OPERATOR VALUE` with a JSON pointer (RFC 6901), such as
`/status = "ok"` or `/failed < 1`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import re2

# The part of a body that is judged, in bytes.
JUDGED_BYTES = 64 * 1024
_SHOWN = 60
_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", re.ASCII)
_POINTER = re.compile(r"(/\S*)\s+(!=|<=|>=|=|<|>)\s+(.+)", re.ASCII | re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_HELP = 'write contains TEXT, lacks TEXT, matches REGEX, or such as /status = "ok"'
_MISSING = object()


class BodyRule(NamedTuple):
    """A rule for the body. `kind`: contains, lacks, matches or pointer."""

    text: str
    kind: str
    wanted: Any
    pointer: str = ""
    operator: str = ""

    def failure(self, body: str, hide: Callable[[str], str] = str) -> str:
        """Why a body breaks the rule, quoting the rule and what came; '' if it keeps it. `hide` is applied to what is
        quoted before it is cut.
        """
        if self.kind == "contains":
            if self.wanted in body:
                return ""
            return f"the answer does not contain '{_cut(self.wanted)}': {_came(hide(body))}"
        if self.kind == "lacks":
            return f"the answer contains '{_cut(self.wanted)}'" if self.wanted in body else ""
        if self.kind == "matches":
            return (
                "" if self.wanted.search(body) else f"the answer does not match '{self.text[8:]}': {_came(hide(body))}"
            )
        return self._pointer_failure(body, hide)

    def _pointer_failure(self, body: str, hide: Callable[[str], str]) -> str:
        rule = f"the rule {self.text}"
        try:
            value = value_at(orjson.loads(body), self.pointer)
        except ValueError:
            return f"{rule} needs JSON, and the answer is none: {_came(hide(body))}"
        if value is _MISSING:
            return f"{rule} is broken: the answer has nothing at {self.pointer}"
        try:
            kept = _OPERATORS[self.operator](value, self.wanted) and not _mixes_up(value, self.wanted)
        except TypeError:
            kept = False
        if self.operator == "!=" and _mixes_up(value, self.wanted):
            kept = True
        return "" if kept else f"{rule} is broken: {self.pointer} is {_cut(hide(orjson.dumps(value).decode()))}"


def _mixes_up(value: Any, wanted: Any) -> bool:
    """Whether one of two equal values is true or false and the other a number: in JSON they differ."""
    return isinstance(value, bool) != isinstance(wanted, bool)


class Criteria(NamedTuple):
    """A job's rules: the ranges of statuses (empty: 200 to 299), and the rule for the body."""

    statuses: tuple[tuple[int, int], ...] = ()
    body: BodyRule | None = None

    def allows_status(self, status: int) -> bool:
        if not self.statuses:
            return 200 <= status < 300
        return any(least <= status <= most for least, most in self.statuses)


ANY_2XX = Criteria()


@lru_cache(maxsize=2_000)
def criteria(status: str, body: str) -> Criteria:
    """The rules of two columns of a job. Raises `ValueError` with the reason."""
    return Criteria(statuses_of(status), body_rule(body)) if status or body else ANY_2XX


def statuses_of(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges of statuses, such as `200-299,409`. Raises `ValueError` with the reason."""
    found = []
    for part in text.replace(" ", "").split(",") if text.strip() else ():
        match = _RANGE.fullmatch(part)
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if most < least:
            raise ValueError(f"'{part[:20]}' is no status: write such as 200-299,409.")
        found.append((least, most))
    return tuple(found)


def body_rule(text: str) -> BodyRule | None:
    """A rule for the body; None for ''. Raises `ValueError` with the reason."""
    text = text.strip()
    if not text:
        return None
    kind, _, wanted = text.partition(" ")
    if kind in {"contains", "lacks"} and wanted:
        return BodyRule(text, kind, wanted)
    if kind == "matches" and wanted:
        try:
            return BodyRule(text, kind, re2.compile(wanted))
        except re2.error as exc:
            reason = exc.args[0].decode() if isinstance(exc.args[0], bytes) else str(exc)
            raise ValueError(f"'{_cut(wanted)}' is no regular expression (RE2): {reason}.") from exc
    match = _POINTER.fullmatch(text)
    if match is None:
        raise ValueError(f"'{_cut(text)}' is no rule for the answer: {_HELP}.")
    try:
        value = orjson.loads(match[3])
    except ValueError:
        raise ValueError(f"'{_cut(match[3])}' is no JSON value: write a text in quotes, such as \"ok\".") from None
    if match[2] not in {"=", "!="} and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise ValueError(f"'{match[2]}' compares numbers or texts: write such as /failed < 1.")
    return BodyRule(text, "pointer", value, match[1], match[2])


def value_at(document: Any, pointer: str) -> Any:
    """The value that a JSON pointer names (RFC 6901); a marker of this module if there is none."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and key.isascii() and int(key[:9]) < len(document):
            document = document[int(key[:9])]
        else:
            return _MISSING
    return document


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _came(body: str) -> str:
    return f"'{_cut(' '.join(body[:200].split()))}'" if body.strip() else "it is empty"
