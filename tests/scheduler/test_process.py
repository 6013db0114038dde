"""The scheduler process: leading, standing by, stopping; over real processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from scheduler.leadership import FileLeaderLock
from tests.support.installation import Installation
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.long

STATUS = (
    "from scheduler.models import Leadership; l = Leadership.current()\n"
    "print(l.leader_id, l.fencing_token, int(l.is_live))"
)


def leader(installation: Installation) -> tuple[int, int, bool]:
    """The pid of the leader, its fencing token, and whether it is live."""
    words = installation.python(STATUS).split()
    if len(words) < 3:
        return 0, int(words[0]), False
    return int(words[0].split(":")[1]), int(words[1]), words[2] == "1"


def make_due_job(installation: Installation, url: str) -> None:
    """An every-minute job that is due at this very moment."""
    installation.python(
        "from jobs.models import Job, Revision; from django.utils import timezone\n"
        "from jobs.services import create_job; from taxonomy.models import PicTeam\n"
        "PicTeam.objects.get_or_create(slug='t', defaults={'name': 'T', 'slack_handle': '@t'})\n"
        f"create_job({{'name': 'every minute', 'cron_expression': '* * * * *', 'end_date': '2099-01-01', "
        f"'pic_team': 't', 'target_url': '{url}'}}, by=None)\n"
        "Job.objects.update(next_run_at=timezone.now().replace(second=0, microsecond=0)); Revision.bump()"
    )


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    one, other = FileLeaderLock(tmp_path / "lock"), FileLeaderLock(tmp_path / "lock")
    assert one.acquire(0)
    assert not other.acquire(0.05)
    one.release()
    assert other.acquire(0.05)
    other.release()


def test_one_leads_and_the_others_take_over(tmp_path: Path) -> None:
    with Installation(tmp_path, schedulers=2, web=False) as installation:
        pid, token, _ = wait_until(lambda: (found := leader(installation))[2] and found)
        name = next(name for name, process in installation.processes.items() if process.pid == pid)
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        new_pid, new_token, _ = wait_until(
            lambda: (found := leader(installation))[0] not in {0, pid} and found[2] and found
        )
        # Each look starts a process, which takes seconds on a busy machine.
        assert time.monotonic() - started < 30
        assert new_token == token + 1
        installation.processes[name].wait(20)
        installation.start_scheduler(name)
        standby = installation.processes[name]
        wait_until(lambda: "standing by" in installation.log(name))
        os.kill(new_pid, signal.SIGTERM)
        started = time.monotonic()
        wait_until(lambda: (found := leader(installation))[0] == standby.pid and found[2])
        assert time.monotonic() - started < 30


def test_a_leader_that_was_stopped_and_fenced_off_steps_down(tmp_path: Path) -> None:
    with Installation(tmp_path, schedulers=1, web=False) as installation:
        pid, token, _ = wait_until(lambda: (found := leader(installation))[2] and found)
        installation.suspend(pid)
        installation.python("from scheduler.leadership import Leader; Leader().take_over()")
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: "stepping down" in installation.log("scheduler0"))
        # It leads again, with a newer token, as nobody else holds the lock.
        wait_until(lambda: leader(installation)[1] > token + 1)


def test_a_stop_finishes_calls_under_way_and_leaves_no_execution_running(tmp_path: Path, target: Target) -> None:
    with Installation(tmp_path, schedulers=1, web=False) as installation:
        wait_until(lambda: leader(installation)[2])
        make_due_job(installation, target.url + "/sleep?s=1")
        target.wait_for(1, 5)
        started = time.monotonic()
        installation.processes["scheduler0"].terminate()
        assert installation.processes["scheduler0"].wait(30) == 0
        # Each look starts a process, which takes seconds on a busy machine.
        assert time.monotonic() - started < 30
        statuses = installation.python(
            "from executions.models import Execution; print(*Execution.objects.values_list('status', flat=True))"
        )
        assert set(statuses.split()) == {"success"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"), ("PORT", "99999"), ("SCHEDULER_TIMEZONE", "Mars/Base"), ("DATABASE_URL", "mysql://x"),
        ("SECRET_KEY", "short"),
        ("DEBUG", "perhaps"), ("GITHUB_API_URL", "api.github.com"), ("CSRF_TRUSTED_ORIGINS", "example.com"),
        ("CRONSCHED_DATA_DIR", "/proc/none"),
    ],
)  # fmt: skip
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    installation = Installation(tmp_path, env={name: value})
    done = installation.manage("serve", check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"cronsched: {name}")
