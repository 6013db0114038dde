"""A rendered content is stored with its execution and read back as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.content import Content
from jobs.models import Job

_TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5))
_CONTENTS = st.builds(
    Content,
    metadata=st.dictionaries(st.text(max_size=5), _VALUES, max_size=3),
    headers=st.none() | _TEXTS,
    query=st.none() | _TEXTS,
    body_text=st.text(max_size=5),
    ref=st.text(max_size=5),
    method=st.sampled_from(["auto", "GET", "POST"]),
    body=st.sampled_from(["json", "form", "text", "none"]),
    is_rendered=st.just(True),
)
# Its own values do not count for an execution whose content is stored.
_JOB = Job(headers={"X-Other": "1"}, method="PUT", body="form", metadata={"other": 1})


def read_back(stored: dict[str, Any]) -> Content:
    return Content.of_stored(_JOB, json.loads(json.dumps({"rendered": stored})))


@given(_CONTENTS)
def test_it_reads_back_as_it_was(content: Content) -> None:
    assert read_back(content.stored()) == content


@given(_CONTENTS)
def test_what_was_stored_with_every_value_reads_back_too(content: Content) -> None:
    stored = {name: value for name, value in content._asdict().items() if name != "is_rendered"}
    assert read_back(stored) == content


def test_what_is_as_by_default_is_not_stored() -> None:
    assert Content({"a": 1}, {"X-A": "1"}, is_rendered=True).stored() == {"metadata": {"a": 1}, "headers": {"X-A": "1"}}
