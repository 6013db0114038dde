"""The settings of database connections."""

from __future__ import annotations

import pytest
from django.db import connection

from cronsched.environment import SettingError, database_of


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_sqlite_keeps_what_is_committed_through_a_power_loss() -> None:
    with connection.cursor() as cursor:
        found = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
    # 2 is FULL (SQLite, "PRAGMA synchronous").
    assert found == {"synchronous": 2, "journal_mode": "wal"}


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_sqlite_copies_its_log_seldom() -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 10_000


def test_options_of_the_url_reach_postgresql() -> None:
    url = "postgresql://u:p@h/n?sslmode=verify-full&sslrootcert=/ca.pem&currentSchema=cron"
    options = database_of("DATABASE_URL", url)["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/ca.pem")
    assert options["options"].startswith("-c idle_in_transaction_session_timeout=5000")
    assert "search_path=cron" in options["options"]


def test_pgbouncer_gets_no_startup_options() -> None:
    config = database_of("DATABASE_URL", "postgresql://u:p@h/n?pgbouncer=true")
    assert "options" not in config["OPTIONS"]
    assert "pgbouncer" not in config["OPTIONS"]
    assert config["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_a_url_of_no_database_names_the_setting() -> None:
    with pytest.raises(SettingError, match="DATABASE_URL"):
        database_of("DATABASE_URL", "mysql://h/n")
