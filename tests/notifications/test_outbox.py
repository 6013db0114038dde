"""The outbox: retries with backoff."""

from __future__ import annotations

import pytest

from notifications.outbox import backoff

pytestmark = pytest.mark.django_db


def test_backoff_doubles_up_to_an_hour() -> None:
    seconds = [backoff(attempt).total_seconds() for attempt in range(1, 12)]
    assert 24 <= seconds[0] <= 36
    assert all(2880 <= value <= 4320 for value in seconds[-3:])
