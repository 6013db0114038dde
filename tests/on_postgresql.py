"""Runs tests on a PostgreSQL server of their own: `python -m tests.on_postgresql [pytest's arguments]`.

Without arguments, all tests run but those of the browser, those without a database and those that choose theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.postgres import Postgres

_LEFT_OUT = [
    "tests/browser",
    # They choose their databases.
    "tests/console/test_pages_on_postgresql.py",
    "tests/cronsched/ops",
    "tests/cronsched/test_serve.py",
    "tests/deploy",
    "tests/faults",
    "tests/scheduler/test_process.py",
    # They need none.
    "tests/jobs/schedules",
    "tests/test_documents.py",
    "tests/test_structure.py",
    # The threads of APScheduler's pool leave connections open, which psycopg warns of.
    "tests/scheduler/test_chores.py",
    "tests/security/test_stored_data.py",
]
_ALL = [
    "tests",
    *(f"--ignore={one}" for one in _LEFT_OUT),
    "--deselect=tests/scheduler/test_leadership.py::test_no_step_breaks_a_promise_and_nothing_is_lost_for_ever",
]


def main() -> int:
    with Postgres() as server:
        # The server ends with the tests, and so do their databases.
        command = [sys.executable, "-m", "pytest", "--reuse-db", *(sys.argv[1:] or _ALL)]
        return subprocess.call(command, env={**os.environ, "TESTS_DATABASE_URL": server.database()})


if __name__ == "__main__":
    sys.exit(main())
