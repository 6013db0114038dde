"""Jumps of the system's clock under a scheduler process, by libfaketime where the system has it (Debian:
`libfaketime`).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.ledger import Ledger
from tests.support.target import Target, wait_until

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = [pytest.mark.long, pytest.mark.skipif(not _LIBRARIES, reason="libfaketime is not installed")]
JOBS = 20


@pytest.fixture
def jump(tmp_path: Path) -> Callable[[dt.timedelta], None]:
    """Sets the processes' clocks so far from the true time."""

    def set_offset(offset: dt.timedelta) -> None:
        (tmp_path / "faketime").write_text(f"{offset.total_seconds():+.0f}s\n")

    set_offset(dt.timedelta(0))
    return set_offset


@pytest.fixture
def installation(tmp_path: Path, jump: object) -> Iterator[Installation]:  # type: ignore[override]
    env = {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "faketime"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "SCHEDULER_POLL_SECONDS": "1",
    }
    with Installation(tmp_path, schedulers=1, web=False, env=env) as running:
        yield running


def test_a_clock_that_jumps_loses_and_doubles_nothing(
    installation: Installation, target: Target, jump: Callable[[dt.timedelta], None]
) -> None:
    ledger = Ledger(installation, target, JOBS)
    ledger.wait_for_leader()
    now = dt.datetime.now(dt.UTC)
    # Hourly, half an hour from now: no fire time comes by itself.
    minute = (now.minute + 30) % 60
    first = now.replace(minute=minute, second=0, microsecond=0)
    first += dt.timedelta(hours=1) if first <= now else dt.timedelta(0)
    ledger.query(f"UPDATE jobs_job SET cron_expression = '{minute} * * * *', next_run_at = '{first:%Y-%m-%d %H:%M:%S}'")
    ledger.query("UPDATE jobs_revision SET number = number + 1")

    def by_status() -> Counter[str]:
        return Counter(row[0] for row in ledger.query("SELECT status FROM executions_execution"))

    jump(dt.timedelta(hours=3))
    wait_until(lambda: by_status() == {"success": JOBS, "missed": 2 * JOBS}, 30)
    for offset in (0, 3, 1, 2):
        jump(dt.timedelta(hours=offset))
        wait_until(lambda: ledger.leader(), 20)
    assert by_status() == {"success": JOBS, "missed": 2 * JOBS}
    jump(dt.timedelta(hours=4))
    wait_until(lambda: by_status() == {"success": 2 * JOBS, "missed": 2 * JOBS}, 30)
    fire_times = Counter(ledger.query("SELECT job_id, scheduled_for FROM executions_execution"))
    assert len(fire_times) == 4 * JOBS
    assert set(fire_times.values()) == {1}
    assert len(target.arrivals) == 2 * JOBS
