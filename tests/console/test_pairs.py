"""Names with values as lines of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import pairs


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_what_is_written_is_read_again(found: dict[str, str]) -> None:
    assert pairs.read(pairs.write(found)) == found


def test_lines() -> None:
    assert pairs.write({"Accept": "a/b", "X": "1: 2"}) == "Accept: a/b\nX: 1: 2"
    assert pairs.read(" Accept : a/b \n\nX:1: 2") == {"Accept": "a/b", "X": "1: 2"}


@pytest.mark.parametrize("text", ["no colon", ": x", "A: 1\nA: 2", "{nonsense", "{"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(ValueError):
        pairs.read(text)
