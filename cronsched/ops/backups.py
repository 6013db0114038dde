"""Backups: SQLite by its online backup while processes run (SQLite, "Online Backup API"), PostgreSQL by pg_dump in
custom format.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction

from accounts.models import User
from scheduler.models import Leadership

_PAGES = 2000
# The end of the name under which a schema waits while a backup is restored beside it.
_ASIDE = "_before_restore"
# libpq's parameters in the URL, and the environment variables of the same meaning (libpq, "Environment Variables").
_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_PLAIN = b"SQLite format 3\x00"
_CUSTOM = b"PGDMP"
Progress = Callable[[int, int], object]


class CannotBackUp(Exception):
    """Why no backup was written, and the remedy."""


def backup(file: Path, progress: Progress) -> int:
    """Write a backup to a new file that only its owner may read; returns its size in bytes. Raises `CannotBackUp`."""
    if file.exists():
        raise CannotBackUp(f"{file} exists already. Name a new file.")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if connection.vendor == "sqlite":
            _copy_sqlite(_database_path(), draft, progress)
            _check_sqlite(draft)
        else:
            _postgres("pg_dump", "--format=custom", "--no-owner", f"--file={draft}")
        # The file appears only when it is complete.
        draft.rename(file)
    except (OSError, sqlite3.Error) as exc:
        raise CannotBackUp(f"{file} cannot be written: {exc}.") from exc
    finally:
        draft.unlink(missing_ok=True)
    return file.stat().st_size


def restore(file: Path, progress: Progress, *, replace: bool) -> None:
    """Replace the database by a backup. Raises `CannotBackUp` while a scheduler runs or, without `replace`, if there
    is data.
    """
    try:
        with open(file, "rb") as reader:
            head = reader.read(len(_PLAIN))
    except OSError as exc:
        raise CannotBackUp(f"{file} cannot be read: {exc.strerror}.") from exc
    kind = "sqlite" if head == _PLAIN else "postgresql" if head.startswith(_CUSTOM) else ""
    if kind != connection.vendor:
        raise CannotBackUp(
            f"{file} is no backup of a {connection.vendor} database; 'movedata' moves between databases."
        )
    if kind == "sqlite":
        _check_sqlite(file)
    check_restored()
    if _is_led():
        raise CannotBackUp("A scheduler is running. Stop every process of Cronsched first.")
    if _has_data() and not replace:
        raise CannotBackUp("The database has data: say --replace to lose it, after a backup of it.")
    connections[DEFAULT_DB_ALIAS].close()
    if kind == "sqlite":
        _copy_sqlite(file, _database_path(), progress)
    else:
        _restore_postgres(file)


def check_restored() -> None:
    """Raise `CannotBackUp` if a restore of a PostgreSQL database was interrupted, which has set the data aside."""
    if connection.vendor != "postgresql":
        return
    schema = _schema()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [f"{schema}{_ASIDE}"])
        if cursor.fetchone():
            raise CannotBackUp(
                f"A restore was interrupted: the data from before it is in the schema {schema}{_ASIDE}. To go back, "
                f"run in psql: DROP SCHEMA {schema} CASCADE; ALTER SCHEMA {schema}{_ASIDE} RENAME TO {schema}; "
                f"to go on with the restore, do that first."
            )


def _is_led() -> bool:
    try:
        return Leadership.current().is_live
    except DatabaseError:
        return False


def _has_data() -> bool:
    try:
        return User.objects.exists()
    except DatabaseError:
        # The database has no tables yet.
        return False


def _database_path() -> Path:
    return Path(str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]))


def _restore_postgres(file: Path) -> None:
    """Restore into a new schema of the same name, and then drop the old one, with the tables of a newer version too. A
    restore that fails leaves the old one in place.

    pg_restore connects itself: psql would run what a forged backup writes as its commands (CVE-2025-8714).
    """
    wanted = _postgres("pg_restore", "--list", str(file))
    listed = settings.CRONSCHED_DATA_DIR / f".restore.{os.getpid()}.list"
    schema = _schema()
    old = f"{schema}{_ASIDE}"
    try:
        extensions = _set_aside(schema, old)
    except DatabaseError as exc:
        raise CannotBackUp(f"The schema {schema} cannot be set aside as {old}: {exc}.") from exc
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        # The new schema exists already.
        entries = [line for line in wanted.splitlines() if f" SCHEMA - {schema} " not in line]
        with open(os.open(listed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write("\n".join(entries))
        name = str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])
        options = ("--no-owner", "--exit-on-error", "--single-transaction", f"--use-list={listed}")
        _postgres("pg_restore", *options, f"--dbname={name}", str(file))
    except BaseException:
        _execute(
            *(f'ALTER EXTENSION "{name}" SET SCHEMA "{old}"' for name in extensions),
            f'DROP SCHEMA "{schema}" CASCADE',
            f'ALTER SCHEMA "{old}" RENAME TO "{schema}"',
        )
        raise
    finally:
        listed.unlink(missing_ok=True)
    _execute(f'DROP SCHEMA "{old}" CASCADE')


def _interrupted(number: int, frame: Any) -> None:
    raise CannotBackUp("The restore was interrupted; the database is as it was before.")


def _schema() -> str:
    """The schema in use."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def _set_aside(schema: str, old: str) -> list[str]:
    """Rename the schema and create an empty one of its name, to which its extensions move; returns their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE nspname = %s", [schema]
        )
        extensions = [str(row[0]) for row in cursor.fetchall()]
    _execute(
        f'ALTER SCHEMA "{schema}" RENAME TO "{old}"',
        f'CREATE SCHEMA "{schema}"',
        *(f'ALTER EXTENSION "{name}" SET SCHEMA "{schema}"' for name in extensions),
    )
    return extensions


def _execute(*statements: str) -> None:
    """In one transaction; the connection is closed, because restored tables have other ids."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def _copy_sqlite(origin: Path, target: Path, progress: Progress) -> None:
    def tell(_status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    with closing(sqlite3.connect(origin)) as source, closing(sqlite3.connect(target, timeout=20)) as there:
        source.backup(there, pages=_PAGES, progress=tell, sleep=0.005)


def _check_sqlite(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as plain:
            found = plain.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as exc:
        raise CannotBackUp(f"{file} is damaged: {exc}.") from exc
    if found != "ok":
        raise CannotBackUp(f"{file} is damaged: {found}.")


def _postgres(program: str, *arguments: str) -> str:
    """Run a PostgreSQL program; returns what it prints. The password is passed in its environment, because process
    lists show arguments.
    """
    found = shutil.which(program)
    if found is None:
        raise CannotBackUp(
            f"{program} is not installed: install PostgreSQL's client programs, of the server's version."
        )
    wanted = connections[DEFAULT_DB_ALIAS].settings_dict
    names = {"PGDATABASE": "NAME", "PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    given = {name: str(wanted[key]) for name, key in names.items() if wanted.get(key)}
    options = wanted.get("OPTIONS") or {}
    # TLS and the like as in the application: a password must not go over a connection that is verified less.
    given |= {variable: str(options[name]) for name, variable in _VARIABLES.items() if options.get(name)}
    given["PGOPTIONS"] = f"{options.get('options', '')} --client-min-messages=warning".strip()
    done = subprocess.run(  # noqa: S603
        [found, *arguments],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # PostgreSQL's tools break one sentence into lines: which server, why, and what to check.
        raise CannotBackUp(f"{program} failed: {' '.join(done.stderr.split()) or 'without a word'}")
    return done.stdout
