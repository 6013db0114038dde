"""The execution backends."""

from __future__ import annotations

from typing import Any

from executions import backends
from executions.delivery import engine


def test_the_local_backend_owns_what_it_fires(handed: list[Any], settings: Any) -> None:
    assert backends.new_worker_id() == engine.worker_id()
    settings.EXECUTION_BACKEND = "celery"
    assert backends.new_worker_id() is None
