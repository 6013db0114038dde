"""Test reports in an artifact of a workflow run: JUnit XML files, or a summary as JSON (`test_summaries`). Nothing is
written to disk; archives and files that are too large, too many or unreadable are left out with a reason.
"""

from __future__ import annotations

import io
import lzma
import threading
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

import requests
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from executions.targets.github import api, test_summaries
from executions.targets.github.api import LeftOut
from executions.targets.github.limits import RateLimited
from executions.targets.github.test_summaries import Summary

_LARGEST_ARCHIVE, _LARGEST_IN_ALL, _MOST_FILES = 20 * 1024 * 1024, 50 * 1024 * 1024, 500
_MOST_NAMES, _LONGEST_NAME = 200, 200
_MOST_ELEMENTS, _DEEPEST = 500_000, 50
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, OSError, EOFError,
)  # fmt: skip
_one_at_a_time = threading.Lock()
# The record at the end of a zip archive (APPNOTE.TXT 4.3.16), and where it counts the entries.
_END, _END_SIZE, _COUNT_AT = b"PK\x05\x06", 22, 10


class Tests(NamedTuple):
    """How many tests passed, failed and were skipped, and the names of the failing ones (at most 200)."""

    passed: int
    failed: int
    skipped: int
    failing: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        return {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}


class Change(NamedTuple):
    """How the failing tests differ from those of the run before."""

    new: tuple[str, ...]
    still: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def words(self) -> str:
        """Such as "newly failing: 2, still failing: 1, fixed: 4"; '' if there is nothing to say."""
        named = (("newly failing", self.new), ("still failing", self.still), ("fixed", self.fixed))
        return ", ".join(f"{label}: {len(names)}" for label, names in named if names)


def of_run(owner: str, repo: str, run_id: int, artifact: str, token: str) -> Tests:
    """The tests of a run. Raises as `api.download`: also without such an artifact, or for one that cannot be read."""
    base = f"/repos/{owner}/{repo}/actions"
    try:
        answer = api.get(f"{base}/runs/{run_id}/artifacts?per_page=10&name={quote(artifact, safe='')}", token)
        if answer.status_code != 200:
            raise LeftOut(f"GitHub answered {answer.status_code}")
        found = _newest(answer.json())
        if found is None:
            raise LeftOut(f"the run has no artifact named {artifact}")
        return read(api.download(f"{base}/artifacts/{found}/zip", token, _LARGEST_ARCHIVE))
    except RateLimited:
        raise
    except requests.JSONDecodeError as exc:
        raise LeftOut("the answer of GitHub cannot be read") from exc
    except requests.RequestException as exc:
        raise LeftOut("GitHub could not be reached") from exc
    except ValueError as exc:
        raise LeftOut(str(exc)) from exc


def compare(before: list[str] | None, now: list[str] | None) -> Change | None:
    """The change between the failing tests of two runs; None if one of them has no test report."""
    if before is None or now is None:
        return None
    old, new = set(before), set(now)
    return Change(
        tuple(name for name in now if name not in old),
        tuple(name for name in now if name in old),
        tuple(name for name in before if name not in new),
    )


def read(archive: bytes) -> Tests:
    """The tests of all JUnit files and summaries of a zip archive. Raises `ValueError` with the reason."""
    outcomes: dict[str, str] = {}
    summaries: list[Summary] = []
    # One at a time, because a report takes memory.
    with _one_at_a_time:
        for name, content in _files(archive):
            try:
                if name.endswith(".xml"):
                    _read_file(content, outcomes)
                elif summary := test_summaries.read(content):
                    summaries.append(summary)
            except (ParseError, DefusedXmlException, LookupError) as exc:
                raise ValueError(f"a file of the test report is no JUnit XML: {type(exc).__name__}") from exc
    # A summary beside the JUnit files tells of the same tests.
    summaries = [] if outcomes else summaries
    count = list(outcomes.values()).count
    failing = [_line(name or "unnamed") for one in summaries for name in one.failing]
    failing += [name for name, outcome in outcomes.items() if outcome == "failed"]
    return Tests(
        count("passed") + sum(one.passed for one in summaries),
        count("failed") + sum(one.failed for one in summaries),
        count("skipped") + sum(one.skipped for one in summaries),
        tuple(dict.fromkeys(failing))[:_MOST_NAMES],
    )


def _read_file(content: bytes, outcomes: dict[str, str]) -> None:
    """Add the outcomes of a file; its elements are dropped as soon as they are read."""
    above: list[Element] = []
    for number, (event, element) in enumerate(iterparse(io.BytesIO(content), ("start", "end"), forbid_dtd=True)):
        if number > 2 * _MOST_ELEMENTS or len(above) > _DEEPEST:
            raise ValueError("the test report holds too many elements")
        if event == "start":
            above.append(element)
            continue
        above.pop()
        if element.tag == "testcase":
            # A test that is run again within its job counts by its last run.
            outcomes[_name(element)] = _outcome(element)
        if above and above[-1].tag != "testcase":
            above[-1].remove(element)


def _newest(told: Any) -> int | None:
    artifacts = told.get("artifacts") if isinstance(told, dict) else None
    rows = artifacts if isinstance(artifacts, list) else []
    alive = [one for one in rows if isinstance(one, dict) and not one.get("expired")]
    ids = [one["id"] for one in alive if isinstance(one.get("id"), int)]
    return max(ids, default=None)


def _files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The XML and JSON files of an archive with their names, within limits on their number and their size in all,
    whatever the archive says.
    """
    end = archive.rfind(_END, max(0, len(archive) - 65_535 - _END_SIZE))
    if int.from_bytes(archive[end + _COUNT_AT : end + _COUNT_AT + 2], "little") > _MOST_FILES:
        raise ValueError(f"the test report has more than {_MOST_FILES} files")
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
        names = [info for info in opened.infolist() if info.filename.lower().endswith((".xml", ".json"))]
        if len(names) > _MOST_FILES:
            raise ValueError(f"the test report has more than {_MOST_FILES} files")
        left = _LARGEST_IN_ALL
        for info in names:
            # Other JSON than summaries may be large, and is left out.
            most = test_summaries.LARGEST if info.filename.lower().endswith(".json") else left
            with opened.open(info) as file:
                content = file.read(min(most, left) + 1)
            if len(content) > most < left:
                continue
            left -= len(content)
            if left < 0:
                raise ValueError("the test report is too large")
            yield info.filename.lower(), content
    except _UNREADABLE as exc:
        raise ValueError(f"the test report is no zip archive that can be read: {type(exc).__name__}") from exc


def _name(case: Element) -> str:
    parts = [part for part in (case.get("classname"), case.get("name")) if part]
    return _line(" › ".join(parts) or "unnamed")


def _line(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name)[:_LONGEST_NAME]


def _outcome(case: Element) -> str:
    children = {child.tag for child in case}
    if children & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in children else "passed"
