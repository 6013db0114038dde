"""Which answers are a success."""

from __future__ import annotations

import time

import pytest

from jobs.success_rules import body_rule, criteria, statuses_of


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("", [200, 204, 299], [199, 300, 404, 500]),
        ("200-299,409", [200, 299, 409], [408, 410, 500]),
        (" 302 , 200 ", [200, 302], [201]),
    ],
)
def test_statuses(rule: str, good: list[int], bad: list[int]) -> None:
    found = criteria(rule, "")
    assert all(found.allows_status(status) for status in good)
    assert not any(found.allows_status(status) for status in bad)


@pytest.mark.parametrize("text", ["2xx", "600", "99", "300-200", "200,,201", "200-", "２００"])
def test_what_is_no_list_of_statuses(text: str) -> None:
    with pytest.raises(ValueError, match="is no status"):
        statuses_of(text)


@pytest.mark.parametrize(
    ("rule", "body", "reason"),
    [
        ("contains OK", "all OK here", ""),
        ("contains OK", "no", "the answer does not contain 'OK': 'no'"),
        ("contains OK", "", "the answer does not contain 'OK': it is empty"),
        ("lacks ERROR", "fine", ""),
        ("lacks ERROR", "an ERROR", "the answer contains 'ERROR'"),
        (r"matches ^done \d+", "done 12", ""),
        (r"matches ^done \d+", "x", r"the answer does not match '^done \d+': 'x'"),
        ('/status = "ok"', '{"status": "ok"}', ""),
        ('/status = "ok"', '{"status": "late"}', 'the rule /status = "ok" is broken: /status is "late"'),
        ('/status = "ok"', "{}", 'the rule /status = "ok" is broken: the answer has nothing at /status'),
        ('/status = "ok"', "<html>", "the rule /status = \"ok\" needs JSON, and the answer is none: '<html>'"),
        ("/failed < 1", '{"failed": 0}', ""),
        ("/failed < 1", '{"failed": 3}', "the rule /failed < 1 is broken: /failed is 3"),
        ("/failed < 1", '{"failed": "0"}', 'the rule /failed < 1 is broken: /failed is "0"'),
        ("/a/0/b~1c~0d >= 2", '{"a": [{"b/c~d": 2}]}', ""),
        ("/ok = true", '{"ok": true}', ""),
        ("/ok = true", '{"ok": 1}', "the rule /ok = true is broken: /ok is 1"),
        ("/ok = 1", '{"ok": true}', "the rule /ok = 1 is broken: /ok is true"),
        ("/ok != 1", '{"ok": true}', ""),
        ("/list/9 = 1", '{"list": [1]}', "the rule /list/9 = 1 is broken: the answer has nothing at /list/9"),
        ("/x = null", '{"x": null}', ""),
    ],
)
def test_bodies(rule: str, body: str, reason: str) -> None:
    found = body_rule(rule)
    assert found is not None
    assert found.failure(body) == reason


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("contains", "is no rule"),
        ("has x", "is no rule"),
        ("/status", "is no rule"),
        ("/status = ok", "is no JSON value"),
        ("/n < true", "compares numbers or texts"),
        ("matches (", "is no regular expression"),
        (r"matches (a)\1", "is no regular expression"),
    ],
)
def test_what_is_no_rule(rule: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        body_rule(rule)


def test_a_regular_expression_takes_linear_time() -> None:
    rule = body_rule("matches ^(a+)+$")
    assert rule is not None
    began = time.perf_counter()
    assert rule.failure("a" * 60_000 + "b")
    assert time.perf_counter() - began < 1
