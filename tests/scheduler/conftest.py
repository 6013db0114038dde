from __future__ import annotations

import pytest

from scheduler.leadership import Leader


@pytest.fixture
def leader(db: None) -> Leader:
    """A leader that has just taken over."""
    leader = Leader()
    leader.take_over()
    return leader
