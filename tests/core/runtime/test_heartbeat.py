"""`manage.py alive` fails for a process whose main loop hangs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from core.runtime import heartbeat


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CRONSCHED_DATA_DIR = tmp_path
    monkeypatch.setattr(heartbeat, "_beats", {})


def alive(*role: str) -> int:
    with pytest.raises(SystemExit) as ended:
        call_command("alive", *role)
    return int(ended.value.code or 0)


def test_each_role_for_itself() -> None:
    assert alive("scheduler") == 1
    heartbeat.beat("scheduler")
    assert (alive("scheduler"), alive("worker"), alive()) == (0, 1, 0)
    heartbeat.stop("scheduler")
    assert alive("scheduler") == 1


def test_a_process_that_hangs_is_not_alive(tmp_path: Path) -> None:
    heartbeat.beat("worker")
    assert alive("worker") == 0
    (file,) = tmp_path.glob("worker.*.alive")
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert alive("worker") == 1
