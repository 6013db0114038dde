"""Messages to Celery workers."""

from __future__ import annotations

from typing import Any

import pytest

from executions.celery_backend import tasks

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "arguments", [(), (1,), (2, []), (1, "x"), (1, ["no id"]), (1, [5]), (1, None), (1, [], "more"), ("1", [])]
)
def test_a_message_of_another_version_is_dropped(arguments: tuple[Any, ...]) -> None:
    assert tasks.carry_out(*arguments) == 0
