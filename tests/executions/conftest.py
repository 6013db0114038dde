from __future__ import annotations

import uuid
from typing import Any

import pytest

from executions.celery_backend import dispatch


@pytest.fixture
def sent(settings: Any, monkeypatch: Any) -> dict[uuid.UUID, str]:
    """The executions that were sent to workers, with their kinds."""
    settings.EXECUTION_BACKEND = "celery"
    kinds: dict[uuid.UUID, str] = {}
    monkeypatch.setattr(dispatch, "send", kinds.update)
    monkeypatch.setattr(dispatch, "waiting_messages", lambda: 0)
    return kinds
