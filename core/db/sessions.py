"""Sessions of PostgreSQL that stalled inside a transaction: their process was suspended, and their locks stay."""

from __future__ import annotations

import logging

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger("cronsched.database")
STALLED_SECONDS = 5.0
# PostgreSQL does not tell a client that reads slowly from one that was suspended while it read.
READING_SECONDS = 60.0

_END_STALLED = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
        AND application_name = current_setting('application_name')
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND (
            wait_event = 'ClientRead' AND state_change < clock_timestamp() - make_interval(secs => %s)
            OR wait_event = 'ClientWrite' AND state_change < clock_timestamp() - make_interval(secs => %s)
        )
"""


def end_stalled_sessions(
    after: float = STALLED_SECONDS, *, reading: float = READING_SECONDS, database: BaseDatabaseWrapper | None = None
) -> int:
    """End the sessions of our processes that have waited for `after` seconds for their client to go on with a
    transaction, or whose client has read rows for `reading` seconds; returns how many. Their transactions are rolled
    back, so their locks are free. Does nothing on SQLite.

    `idle_in_transaction_session_timeout` ends such a session only while the server waits for a new query, not within a
    pipeline or while it sends rows (PostgreSQL, "Client Connection Defaults").
    """
    database = database or connection
    if database.vendor != "postgresql":
        return 0
    with database.cursor() as cursor:
        cursor.execute(_END_STALLED, [after, reading])
        ended = len(cursor.fetchall())
    if ended:
        log.warning("ended %d database sessions that had stalled inside a transaction", ended)
    return ended
