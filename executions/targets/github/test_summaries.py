"""Summaries of tests as JSON: the Common Test Report Format (https://ctrf.io), or plain counts such as
`{"passed": 212, "failed": 3, "skipped": 1, "failing": ["login > signs in"]}`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

# What a count may be at most; more is no count of tests.
_MOST = 10_000_000
_NAMES = 200
# A larger file is none.
LARGEST = 5 * 1024 * 1024


class Summary(NamedTuple):
    """How many tests passed, failed and were skipped, and the names of failing ones (at most 200)."""

    passed: int
    failed: int
    skipped: int
    failing: tuple[str, ...]


def read(content: bytes) -> Summary | None:
    """None for other JSON, such as what a tool keeps beside its report."""
    try:
        told = orjson.loads(content)
    except ValueError:
        return None
    results = told.get("results") if isinstance(told, dict) else None
    if isinstance(results, dict):
        return _of_ctrf(results)
    return _of_counts(told, told.get("failing")) if isinstance(told, dict) else None


def _of_ctrf(results: dict[str, Any]) -> Summary | None:
    tests = results.get("tests")
    rows = [one for one in tests if isinstance(one, dict)] if isinstance(tests, list) else []
    failing = [_name(one) for one in rows if one.get("status") == "failed"]
    return _of_counts(results.get("summary"), failing)


def _name(test: dict[str, Any]) -> str:
    suite = test.get("suite")
    # One text or, in later versions of the format, a list.
    parts = suite if isinstance(suite, list) else [suite]
    return " › ".join(str(part) for part in (*parts, test.get("name")) if part)


def _of_counts(counts: Any, failing: Any) -> Summary | None:
    if not isinstance(counts, dict):
        return None
    passed, failed, skipped = (counts.get(name, 0) for name in ("passed", "failed", "skipped"))
    if "passed" not in counts or "failed" not in counts or not all(map(_is_count, (passed, failed, skipped))):
        return None
    names = [name for name in failing if isinstance(name, str)] if isinstance(failing, list) else []
    return Summary(passed, failed, skipped, tuple(names[:_NAMES]))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
