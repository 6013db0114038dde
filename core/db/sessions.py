"""Sessions of PostgreSQL that stalled inside a transaction: their process was suspended, and their locks stay."""

from __future__ import annotations

import logging

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger("cronsched.database")
STALLED_SECONDS = 5.0

_END_STALLED = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
        AND application_name = current_setting('application_name')
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND wait_event_type = 'Client'
        AND state_change < clock_timestamp() - make_interval(secs => %s)
"""


def end_stalled_sessions(after: float = STALLED_SECONDS, database: BaseDatabaseWrapper | None = None) -> int:
    """End the sessions of our processes that have waited for their client for `after` seconds inside a transaction;
    returns how many. Their transactions are rolled back, so their locks are free. Does nothing on SQLite.

    `idle_in_transaction_session_timeout` ends such a session only while the server waits for a new query, not within a
    pipeline or while it sends rows (PostgreSQL, "Client Connection Defaults").
    """
    database = database or connection
    if database.vendor != "postgresql":
        return 0
    with database.cursor() as cursor:
        cursor.execute(_END_STALLED, [after])
        ended = len(cursor.fetchall())
    if ended:
        log.warning("ended %d database sessions that had stalled inside a transaction", ended)
    return ended
