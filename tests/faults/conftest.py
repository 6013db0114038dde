"""The fixture that several faults need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.github_stand_in import GitHub


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server
