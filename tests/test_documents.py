"""Documents name what there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_the_guarantees_name_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::([\w.…]+))?`", text)
    assert len(named) > 20
    for file, name in named:
        code = (ROOT / file).read_text()
        assert name.removesuffix("…") in code, f"{file}::{name}"


def test_every_statement_of_what_happens_names_a_test() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    section = text.partition("## What happens when")[2].partition("\n## ")[0]
    statements = [one for one in section.split("\n- ") if one.strip()]
    assert len(statements) > 20
    assert [one[:60] for one in statements if "tests/" not in one and "fault tests" not in one] == []
