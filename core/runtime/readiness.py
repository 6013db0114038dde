"""Waiting for the database at start, with one log line per attempt."""

from __future__ import annotations

import logging
import time

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection, connections
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger("cronsched.start")
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 15.0


def wait_for_database() -> None:
    """Block until the database is reachable and has no unapplied migrations (another process may be running them)."""
    wait = _FIRST_SECONDS
    while problem := database_problem():
        log.warning("%s; trying again in %.0f s", problem, wait)
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_SECONDS)


def database_problem() -> str:
    """Why the database cannot be used, in one line; '' if it can."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError) as exc:
        connection.close()
        if "unsupported startup parameter" in str(exc):
            return "PgBouncer refuses the connection's options; add ?pgbouncer=true to DATABASE_URL"
        return f"the database cannot be reached; check DATABASE_URL ({' '.join(str(exc).split())})"
    return "the database is not up to date; run 'manage.py migrate'" if pending else ""
