"""Locks between processes that share the database."""

from __future__ import annotations

from django.db import connection


def try_lock(key: int) -> bool:
    """Take a lock until the transaction ends, if nobody holds it; returns whether it was taken.

    PostgreSQL: an advisory lock (PostgreSQL, "Advisory Locks"). SQLite: a transaction that may write is alone already.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
        return bool(cursor.fetchone()[0])
