"""What a dispatch's answer says about its run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executions.http.connection import Reply
from executions.targets.github.dispatch import _run

PAGE = "https://github.com/o/r/actions/runs/7"


@pytest.mark.parametrize("more", ["", "x" * 40_000])
@pytest.mark.parametrize("kept", [1_000, 16_384])
def test_the_run_is_found_also_in_an_answer_that_is_cut(more: str, kept: int) -> None:
    told = json.dumps({"workflow_run_id": 7, "html_url": PAGE, "more": more})
    found: Any = _run(Reply(200, told[:kept]))
    assert (found.id, found.url) == (7, PAGE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"workflow_run_id": true}', '{"workflow_run_id": 1e3}', "x" * 100])
def test_an_answer_that_names_no_run(text: str) -> None:
    assert _run(Reply(200, text)) is None
