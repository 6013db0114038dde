"""The language of variables in a job's request: `{{ name | filter("argument") }}` in text; `\\{{` is a literal `{{`.

There are no loops, no conditions and no calls but the filters. Parsing and rendering take time linear in the text.
What is only known when a call is made (secrets, the number of the attempt) is left in place by `render`, between two
characters that no text may hold, and put in by `finish`. See docs/variables.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jobs.templating import times

# Noncharacters, which are never part of text that is exchanged (Unicode, section 23.7).
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_RESERVED = str.maketrans({_OPEN: "\N{REPLACEMENT CHARACTER}", _CLOSE: "\N{REPLACEMENT CHARACTER}"})
_LATE = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_LONGEST = 200
_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?"
_ARGUMENT = r"""\s*(?:"([^"]*)"|'([^']*)')\s*"""
_FILTER = re.compile(rf"\|\s*([a-z]+)\s*(?:\(({_ARGUMENT}(?:,{_ARGUMENT})?)?\))?\s*", re.ASCII)
_EXPRESSION = re.compile(rf"\s*({_NAME})\s*", re.ASCII)
_ARGUMENTS = re.compile(r""""([^"]*)"|'([^']*)'""")

TIMES = ("scheduled_for", "nominal_for", "previous_success_for")
TEXTS = ("execution_id", "job.name", "trigger")
ATTEMPT = "attempt"
SECRETS = "secret."
NAMES = (*TIMES, *TEXTS, ATTEMPT, f"{SECRETS}NAME")


class TemplateError(ValueError):
    """A text that is no template; the message says where and what to write."""


class Expression(NamedTuple):
    """One placeholder: the name of a variable and the filters that its value passes through."""

    name: str
    filters: tuple[times.Filter, ...] = ()

    @property
    def is_late(self) -> bool:
        return self.name == ATTEMPT or self.name.startswith(SECRETS)


Part = str | Expression
# Characters: what is kept is bounded in bytes.
_LONGEST_KEPT, _MOST_KEPT = 4_096, 4_000
Encode = Callable[[str], str]


def parse(text: str) -> tuple[Part, ...]:
    """The literal texts and placeholders of a template, in order. Raises `TemplateError`."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def _parse(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    literal: list[str] = []
    at = 0
    while (begin := text.find("{{", at)) >= 0:
        if begin and text[begin - 1] == "\\":
            literal.append(text[at : begin - 1] + "{{")
            at = begin + 2
            continue
        end = text.find("}}", begin)
        if end < 0:
            raise TemplateError(f"'{text[begin : begin + 30]}' has no '}}}}' after it; a literal '{{{{' is '\\{{{{'")
        literal.append(text[at:begin])
        if whole := "".join(literal):
            parts.append(whole.translate(_RESERVED))
        literal = []
        parts.append(_expression(text[begin + 2 : end]))
        at = end + 2
    literal.append(text[at:])
    if whole := "".join(literal):
        parts.append(whole.translate(_RESERVED))
    return tuple(parts)


_kept = lru_cache(maxsize=_MOST_KEPT)(_parse)


def _expression(text: str) -> Expression:
    shown = f"'{{{{{text[:60]}}}}}'"
    begin = _EXPRESSION.match(text) if len(text) <= _LONGEST else None
    if begin is None:
        raise TemplateError(f"{shown} is no variable: write one of {', '.join(NAMES)}")
    name = begin[1]
    if name not in TIMES and name not in TEXTS and name != ATTEMPT and not name.startswith(SECRETS):
        raise TemplateError(f"there is no variable '{name[:60]}': write one of {', '.join(NAMES)}")
    filters: list[times.Filter] = []
    at = begin.end()
    while at < len(text):
        found = _FILTER.match(text, at)
        if found is None:
            raise TemplateError(f'{shown} cannot be read: write such as {{{{ scheduled_for | date("YYYY-MM-DD") }}}}')
        arguments = tuple(double or single for double, single in _ARGUMENTS.findall(found[2] or ""))
        filters.append(times.Filter(found[1], arguments))
        at = found.end()
    if filters and name not in TIMES:
        raise TemplateError(f"{shown}: filters are for {', '.join(TIMES)}")
    try:
        times.check(filters)
    except ValueError as exc:
        raise TemplateError(f"{shown}: {exc}") from exc
    return Expression(name, tuple(filters))


def expressions(value: Any) -> list[Expression]:
    """The placeholders in the text values of a JSON value. Raises `TemplateError`."""
    if isinstance(value, str):
        return [part for part in parse(value) if isinstance(part, Expression)] if "{{" in value else []
    if isinstance(value, Mapping):
        return [found for one in value.values() for found in expressions(one)]
    return [found for one in value for found in expressions(one)] if isinstance(value, list) else []


class Values(NamedTuple):
    """The values of the variables that are known when an execution is written, and what the filters need."""

    texts: Mapping[str, Any]
    setting: times.Setting

    def of(self, expression: Expression) -> Any:
        """A placeholder's value, as JSON: a text, a whole number, or None. Raises `ValueError`."""
        if expression.name in TEXTS:
            return self.texts[expression.name]
        return times.apply(self.texts[expression.name], expression.filters, self.setting)


def render(text: str, values: Values, encode: Encode | None = None) -> Any:
    """A text with its variables put in. A text that is one placeholder has that value, with its JSON type. `encode` is
    applied to each value. Raises `TemplateError`, and `ValueError` for a time that cannot be calculated.
    """
    if "{{" not in text and _OPEN not in text and _CLOSE not in text:
        return text
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Expression) and not parts[0].is_late and encode is None:
        value = values.of(parts[0])
        return value.translate(_RESERVED) if isinstance(value, str) else value
    return "".join([part if isinstance(part, str) else _inserted(part, values, encode) for part in parts])


def _inserted(part: Expression, values: Values, encode: Encode | None) -> str:
    if part.is_late:
        return f"{_OPEN}{part.name}{_CLOSE}"
    value = values.of(part)
    text = "" if value is None else str(value).translate(_RESERVED)
    return encode(text) if encode else text


def render_all(value: Any, values: Values) -> Any:
    """A JSON value with the variables of its text values put in."""
    if isinstance(value, str):
        return render(value, values)
    if isinstance(value, dict):
        return {name: render_all(one, values) for name, one in value.items()}
    return [render_all(one, values) for one in value] if isinstance(value, list) else value


def finish(value: Any, late: Callable[[str], str]) -> Any:
    """A rendered JSON value with what is only known at the call put in: `late` returns it by name."""
    if isinstance(value, str):
        return _LATE.sub(lambda found: late(found[1]), value) if _OPEN in value else value
    if isinstance(value, dict):
        return {name: finish(one, late) for name, one in value.items()}
    return [finish(one, late) for one in value] if isinstance(value, list) else value


def late_names(value: Any) -> set[str]:
    """The names that `finish` puts into a rendered JSON value."""
    if isinstance(value, str):
        return set(_LATE.findall(value)) if _OPEN in value else set()
    if isinstance(value, dict):
        return {name for one in value.values() for name in late_names(one)}
    return {name for one in value for name in late_names(one)} if isinstance(value, list) else set()


def readable(value: Any) -> Any:
    """A rendered JSON value as it is shown: what is put in at the call is written as its placeholder."""
    return finish(value, placeholder)


def placeholder(name: str) -> str:
    """The text that stands for a variable."""
    return f"{{{{ {name} }}}}"


def has_placeholder(text: str) -> bool:
    return "{{" in text


def without_placeholders(text: str) -> str:
    """A text with every placeholder replaced by a digit, to look at what is around them. A text that is no template
    comes back as it is.
    """
    try:
        return "".join(part if isinstance(part, str) else "0" for part in parse(text)) if "{{" in text else text
    except TemplateError:
        return text
