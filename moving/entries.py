"""Schedules of other schedulers, as their readers find them, and the jobs that are proposed for them.

A reader never guesses: what it changes is told with the reason, and what it cannot express is left out with the reason.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from core.api.errors import Invalid

# The largest file that is read, and the most schedules in it.
LARGEST = 5 * 1024 * 1024
MOST = 5_000
_FETCHERS = {"curl", "wget"}
# Options of curl and wget that change nothing about what is called.
_QUIET = {"-s", "-S", "-f", "-q", "-fs", "-sf", "-sS", "-fsS", "--silent", "--fail", "--show-error", "--quiet"}
_FOLLOWING = {"-L", "-sL", "-fL", "-fsL", "-fsSL", "-sSL", "-sfL", "--location"}
_METHOD_OPTIONS = {"-X", "--request"}
_DISCARDING = {"-o", "--output", "-O", "--output-document"}
_NOWHERE = {"/dev/null", "-"}
# What a shell puts in, and curl's own patterns of addresses.
_FILLED_IN = set("$`[]{}")
_LONGEST_COMMAND = 4_000
_OPERATORS = set("();<>|&")


class Verdict(Enum):
    """How well a job can take a schedule's place."""

    EXACT = "exact"
    CHANGED = "changed"
    CANNOT = "cannot"


class Unreadable(Invalid):
    """What is imported cannot be read as a whole."""

    def __init__(self, message: str) -> None:
        super().__init__("Nothing to import", message)


class Entry(NamedTuple):
    """One schedule elsewhere. `source`: where it stands; `schedule`: as it is written there. `cron`, `zone`: ours, ''
    for the scheduler's zone. `target`: what it calls, as fields of a job; {} if that is nothing that a job calls.
    `fields`: further fields of the job. `changes`: what a job does differently; `problems`: why none can do it.
    """

    source: str
    name: str
    schedule: str
    cron: str = ""
    zone: str = ""
    target: Mapping[str, Any] = {}
    fields: Mapping[str, Any] = {}
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def with_change(self, *changes: str) -> Entry:
        return self._replace(changes=(*self.changes, *changes))

    def with_problem(self, *problems: str) -> Entry:
        return self._replace(problems=(*self.problems, *problems))


class Proposal(NamedTuple):
    """A job in place of a schedule: `job` is the body with which it would be created, {} where it cannot be. `reasons`
    say what is changed, or why it cannot. `removal`: the lines to remove there, as a patch.
    """

    entry: Entry
    verdict: Verdict
    reasons: tuple[str, ...]
    job: dict[str, Any]
    removal: str = ""


class Call(NamedTuple):
    """The webhook that a command calls, as fields of a job; {} for none. `changes`: what is different then."""

    target: dict[str, Any] = {}
    changes: tuple[str, ...] = ()


def call_of(command: str) -> Call:
    """What a command line calls, if it is curl or wget with one address and options that are known here. What a shell
    would put in ($, backticks) or do with the answer (pipes, files) is no call of a webhook.
    """
    if len(command) > _LONGEST_COMMAND:
        return Call()
    text = re.sub(r"(?:&>|2>|>)+\s*(?:/dev/null|&1)", "", command).strip()
    if set(text) & _FILLED_IN:
        return Call()
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return Call()
    if not words or words[0].rsplit("/", 1)[-1] not in _FETCHERS or any(set(word) <= _OPERATORS for word in words):
        return Call()
    return _read_options(words[0].rsplit("/", 1)[-1] == "wget", words[1:])


def _read_options(is_wget: bool, words: list[str]) -> Call:
    urls: list[str] = []
    changes: list[str] = []
    method, follows, is_kept = "GET", is_wget, is_wget
    while words:
        word = words.pop(0)
        if word.startswith(("http://", "https://")):
            urls.append(word)
        elif word in _METHOD_OPTIONS and words:
            method = words.pop(0).upper()
        elif word in _DISCARDING and words and words[0] in _NOWHERE:
            words.pop(0)
            is_kept = False
        elif word in {"-qO-", "-O-"}:
            is_kept = False
        elif word == "-O":
            is_kept = True
        elif word in _FOLLOWING:
            follows = True
        elif word in {"-k", "--insecure", "--no-check-certificate"}:
            changes.append("its certificate is checked")
        elif word not in _QUIET:
            return Call()
    if len(urls) != 1:
        return Call()
    if is_kept:
        changes.append("what it downloads is not kept as a file")
    target = {"target_url": urls[0], "method": method, **({"redirects": "follow"} if follows else {})}
    return Call(target, tuple(changes))


def safely(make: Callable[..., Entry], source: str, *arguments: Any, **more: Any) -> Entry:
    """The entry that a reader makes; of one that cannot be read, that."""
    try:
        return make(*arguments, **more)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return Entry(source, source, "").with_problem("it cannot be read")


def read_json(text: str) -> Any:
    """What an export in JSON holds. Raises `Nothing to import` for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Unreadable(f"The file is no JSON: {str(exc)[:200]}") from exc


def zone_of(name: str) -> str:
    """The IANA name of a zone as other schedulers write it."""
    return {"Z": "UTC", "GMT": "UTC", "Etc/UTC": "UTC", "Etc/GMT": "UTC"}.get(name.strip(), name.strip())
