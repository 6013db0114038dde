"""Moves an installation to another database: all rows, in batches, resumable, verified by counts and checksums.

The progress is stored in the target, in a table that is dropped at the end. An interrupted move continues; a target
that contains data but no interrupted move is refused.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from cronsched.environment import database_of
from executions.models import LimitAllocation, SharedLimit, Worker
from scheduler.models import Leadership

TARGET = "target"
_BATCH = 2000
_NOTES = "cronsched_move"
# Rows that migrations write; the source's rows replace them.
_SEEDED = {"django_content_type", "auth_permission", "taxonomy_category"}
# Rows that only matter to running processes.
_FLEETING = {Worker, LimitAllocation, SharedLimit}
Model = type[models.Model]
Progress = Callable[[str, int, int], object]


class CannotMove(Exception):
    """Why nothing was moved, and the remedy."""


class Moved(NamedTuple):
    """One table: the number of rows and their checksum, equal in both databases."""

    table: str
    rows: int
    checksum: str


def move(url: str, progress: Progress) -> Iterator[Moved]:
    """Copy everything into the database at this URL; yields each table when it is verified. Raises `CannotMove`,
    `SettingError`.
    """
    _open(database_of("--to", url))
    if Leadership.current().is_live:
        raise CannotMove(
            "A scheduler is running. Stop every process of Cronsched first: what changes meanwhile would be lost."
        )
    _migrate(url)
    tables = _in_order()
    with connections[TARGET].cursor() as cursor:
        notes = _NOTES in connections[TARGET].introspection.table_names(cursor)
    if not notes:
        _refuse_if_in_use(tables)
        _begin(tables)
    for model in tables:
        _copy(model, progress)
    for model in tables:
        yield _verified(model)
    _finish(tables)


def _open(configuration: dict[str, Any]) -> None:
    wanted = {**connections.settings[DEFAULT_DB_ALIAS], "TEST": {}, "CONN_MAX_AGE": None, **configuration}
    connections.settings[TARGET] = wanted
    here = connections[DEFAULT_DB_ALIAS].settings_dict
    if all(here.get(name) == wanted.get(name) for name in ("ENGINE", "NAME", "HOST", "PORT")):
        raise CannotMove("This is the database in use: name another one.")


def _migrate(url: str) -> None:
    """Create the tables in a process whose only database is the target, because some libraries' migrations know no
    other.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "-v0", "--noinput"],
        env={**os.environ, "DATABASE_URL": url},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise CannotMove(f"The target's tables cannot be made: {last}")


def _in_order() -> list[Model]:
    """Every table, ordered so that referenced tables come first."""
    waiting = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model not in _FLEETING
    ]
    ordered: list[Model] = []
    while waiting:
        ready = [model for model in waiting if not _needs(model) & set(waiting) - {model}]
        ordered += ready
        waiting = [model for model in waiting if model not in ready]
    return ordered


def _needs(model: Model) -> set[Model]:
    return {field.related_model for field in model._meta.concrete_fields if field.related_model}


def _refuse_if_in_use(tables: list[Model]) -> None:
    for model in tables:
        if model._meta.db_table not in _SEEDED and model._base_manager.using(TARGET).exists():
            raise CannotMove(f"The target is not empty: {model._meta.db_table} has rows. Name an empty database.")


def _begin(tables: list[Model]) -> None:
    with transaction.atomic(using=TARGET), connections[TARGET].cursor() as cursor:
        for model in reversed(tables):
            model._base_manager.using(TARGET).all()._raw_delete(using=TARGET)
        cursor.execute(f"CREATE TABLE {_NOTES} (name varchar(200) PRIMARY KEY, last varchar(400) NOT NULL)")


def _copy(model: Model, progress: Progress) -> None:
    table = model._meta.db_table
    total = model._base_manager.count()
    last = _noted(table)
    done = model._base_manager.using(TARGET).count()
    while rows := list(_rows(model, DEFAULT_DB_ALIAS, last)[:_BATCH]):
        last = rows[-1][0]
        with transaction.atomic(using=TARGET):
            _insert(model, rows)
            _note(table, last)
        done += len(rows)
        progress(table, done, total)


def _rows(model: Model, alias: str, after: Any = None) -> Any:
    """The rows of a table by primary key, as tuples of Python values with the key first."""
    rows = model._base_manager.using(alias).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return rows.values_list("pk", *_columns(model))


def _columns(model: Model) -> list[str]:
    # Of a child of another table, such as AppDevice, its own columns only.
    return [field.attname for field in model._meta.local_concrete_fields]


def _insert(model: Model, rows: Any) -> None:
    target = connections[TARGET]
    fields = model._meta.local_concrete_fields
    quote = target.ops.quote_name
    names, marks = ", ".join(quote(str(field.column)) for field in fields), ", ".join(["%s"] * len(fields))
    values = [
        [field.get_db_prep_save(value, target) for field, value in zip(fields, row[1:], strict=True)] for row in rows
    ]
    with target.cursor() as cursor:
        table = quote(model._meta.db_table)
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608


def _noted(table: str) -> Any:
    with connections[TARGET].cursor() as cursor:
        cursor.execute(f"SELECT last FROM {_NOTES} WHERE name = %s", [table])  # noqa: S608
        found = cursor.fetchone()
    return json.loads(found[0]) if found else None


def _note(table: str, last: Any) -> None:
    with connections[TARGET].cursor() as cursor:
        cursor.execute(f"DELETE FROM {_NOTES} WHERE name = %s", [table])  # noqa: S608
        position = json.dumps(last, default=str)
        cursor.execute(f"INSERT INTO {_NOTES} (name, last) VALUES (%s, %s)", [table, position])  # noqa: S608


def _verified(model: Model) -> Moved:
    """Read both databases once more. Raises `CannotMove` if they differ."""
    here, there = (_checksum(model, alias) for alias in (DEFAULT_DB_ALIAS, TARGET))
    if here != there:
        table = model._meta.db_table
        raise CannotMove(
            f"{table} differs: {here[0]} rows here, {there[0]} there. Something wrote meanwhile: empty the target "
            f"and move again."
        )
    return Moved(model._meta.db_table, *here)


def _checksum(model: Model, alias: str) -> tuple[int, str]:
    """The number of rows and the sum of their hashes; a sum, because databases order text differently."""
    count, added = 0, 0
    for row in _rows(model, alias).iterator(chunk_size=_BATCH):
        count += 1
        digest = hashlib.sha256(json.dumps(row, default=_plain, sort_keys=True).encode()).digest()
        added = (added + int.from_bytes(digest[:16], "big")) % 2**128
    return count, f"{added:032x}"


def _plain(value: Any) -> str:
    return value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else str(value)


def _finish(tables: list[Model]) -> None:
    target = connections[TARGET]
    with transaction.atomic(using=TARGET), target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), tables):
            cursor.execute(statement)
        cursor.execute(f"DROP TABLE {_NOTES}")
