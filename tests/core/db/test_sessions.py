"""Sessions whose process was suspended inside a transaction do not keep their locks, wherever it was suspended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from core.db.sessions import end_stalled_sessions
from cronsched.environment import database_of
from tests.support.postgres import Postgres
from tests.support.target import wait_until


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Postgres() as server:
        yield server.database()


@pytest.fixture
def database(url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[BaseDatabaseWrapper]:
    handler = ConnectionHandler({"default": database_of("DATABASE_URL", url)})
    with django_db_blocker.unblock():
        yield handler["default"]
        handler.close_all()


def session(url: str, name: str = "cronsched") -> psycopg.Connection:
    return psycopg.connect(url, application_name=name, autocommit=True)


def is_there(url: str, pid: int) -> bool:
    with closing(session(url, "observer")) as observer:
        return bool(observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall())


def within_a_pipeline(stalled: psycopg.Connection) -> None:
    stalled.pgconn.enter_pipeline_mode()
    stalled.pgconn.send_query_params(b"BEGIN", None)
    stalled.pgconn.send_query_params(b"SELECT txid_current()", None)
    stalled.pgconn.send_flush_request()
    stalled.pgconn.flush()


def before_a_query(stalled: psycopg.Connection) -> None:
    stalled.execute("BEGIN")
    stalled.execute("SELECT txid_current()")


def while_rows_are_sent(stalled: psycopg.Connection) -> None:
    stalled.execute("BEGIN")
    stalled.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    stalled.pgconn.flush()


@pytest.mark.parametrize("stall", [within_a_pipeline, before_a_query, while_rows_are_sent])
def test_a_session_that_stalls_inside_a_transaction_is_ended(
    url: str, database: BaseDatabaseWrapper, stall: Callable[[psycopg.Connection], None]
) -> None:
    with closing(session(url)) as stalled:
        pid = stalled.info.backend_pid
        stall(stalled)
        assert end_stalled_sessions(60, reading=60, database=database) == 0
        assert wait_until(lambda: end_stalled_sessions(0, reading=0, database=database)) == 1
        wait_until(lambda: not is_there(url, pid))


def test_sessions_that_wait_outside_a_transaction_or_are_not_ours_stay(url: str, database: BaseDatabaseWrapper) -> None:
    with closing(session(url)) as idle, closing(session(url, "psql")) as other:
        before_a_query(other)
        assert end_stalled_sessions(0, reading=0, database=database) == 0
        assert idle.execute("SELECT 1").fetchone() == other.execute("SELECT 1").fetchone() == (1,)
