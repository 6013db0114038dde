"""Runs tests on a PostgreSQL server of their own: `python -m tests.on_postgresql [pytest's arguments]`.

Without arguments, the tests that share the tests' database run; those of installations choose their own databases.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.postgres import Postgres

_SHARED = [
    *(
        f"tests/{app}"
        for app in (
            "accounts",
            "audit",
            "calendars",
            "console",
            "executions",
            "jobs",
            "notifications",
            "settings_app",
            "windows",
        )
    ),
    "tests/scheduler",
    "tests/core/api",
    "tests/core/db",
    "tests/test_wild_inputs.py",
    "--deselect=tests/scheduler/test_leadership.py::test_no_step_breaks_a_promise_and_nothing_is_lost_for_ever",
    "--ignore=tests/scheduler/test_process.py",
    # The threads of APScheduler's pool leave connections open, which psycopg warns of.
    "--ignore=tests/scheduler/test_chores.py",
    "--ignore=tests/jobs/schedules",
    "--ignore=tests/accounts/auth/test_oidc.py",
    "--ignore=tests/console/test_pages_on_postgresql.py",
]


def main() -> int:
    with Postgres() as server:
        # The server ends with the tests, and so do their databases.
        command = [sys.executable, "-m", "pytest", "--reuse-db", *(sys.argv[1:] or _SHARED)]
        return subprocess.call(command, env={**os.environ, "DATABASE_URL": server.database()})


if __name__ == "__main__":
    sys.exit(main())
