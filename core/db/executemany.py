"""Bulk INSERT and UPDATE by `executemany`, several times faster than one large statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

# SQLite's own default of the largest number of parameters (SQLITE_MAX_VARIABLE_NUMBER, since 3.32).
_SQLITE_PARAMETERS = 32_766


def update_many(
    model: type[models.Model],
    columns: Sequence[str],
    keys: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    condition: str = "",
) -> None:
    """One UPDATE per row. A row holds the values of `columns`, then of `keys`. `condition` is appended to WHERE."""
    if not rows:
        return
    fields = _fields(model, (*columns, *keys))
    sets = ", ".join(f"{_quoted(field)} = %s" for field in fields[: len(columns)])
    match = " AND ".join(f"{_quoted(field)} = %s" for field in fields[len(columns) :])
    _execute(f"UPDATE {_table(model)} SET {sets} WHERE {match} {condition}", fields, rows)


def insert_new(model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """One INSERT per row with the values of `columns`; rows that violate a unique constraint are skipped.

    Returns the number of stored rows.
    """
    if not rows:
        return 0
    fields = _fields(model, columns)
    names, marks = ", ".join(map(_quoted, fields)), f"({', '.join(['%s'] * len(fields))})"
    insert = f"INSERT INTO {_table(model)} ({names}) VALUES %s ON CONFLICT DO NOTHING"
    if connection.vendor != "sqlite":
        return _execute(insert.replace("%s", marks), fields, rows)
    return sum(
        _execute_one(insert.replace("%s", ", ".join([marks] * len(part))), fields, part)
        for part in _batches(rows, _SQLITE_PARAMETERS // len(fields))
    )


def _batches(rows: Sequence[Sequence[Any]], size: int) -> Iterator[Sequence[Sequence[Any]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def add_up(
    model: type[models.Model],
    keys: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    largest: str = "",
) -> None:
    """Add numbers to the rows with these keys, inserting missing rows. A row holds the values of `keys`, then of
    `columns`.

    For the column `largest` the maximum is kept instead of the sum.
    """
    if not rows:
        return
    fields = _fields(model, (*keys, *columns))
    table = _table(model)
    names, marks = ", ".join(map(_quoted, fields)), ", ".join(["%s"] * len(fields))
    sets = []
    for field in fields[len(keys) :]:
        name = _quoted(field)
        kept = f"CASE WHEN excluded.{name} > {table}.{name} THEN excluded.{name} ELSE {table}.{name} END"
        sets.append(f"{name} = " + (kept if field.name == largest else f"{table}.{name} + excluded.{name}"))
    match = ", ".join(_quoted(field) for field in fields[: len(keys)])
    _execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({match}) DO UPDATE SET {', '.join(sets)}",
        fields,
        rows,
    )


def _execute_one(sql: str, fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> int:
    """One statement with the values of all rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, list(chain.from_iterable(_prepared_rows(fields, rows))))
        return int(cursor.rowcount)


def _execute(sql: str, fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> int:
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(_prepared_rows(fields, rows)))
        return int(cursor.rowcount)


def _prepared_rows(fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    columns = zip(*rows, strict=True)
    return zip(*(_prepared(field, column) for field, column in zip(fields, columns, strict=True)), strict=True)


def _prepared(field: Any, column: Sequence[Any]) -> list[Any]:
    """A column's values as database parameters. Equal values are converted once, since most columns hold few distinct
    values.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if isinstance(field, models.JSONField):
        return [None if value is None else database.ops.adapt_json_value(value, field.encoder) for value in column]
    if field.primary_key or (isinstance(field, models.ForeignKey) and column[0] != column[-1]):
        return [field.get_db_prep_save(value, database) for value in column]
    known = {value: field.get_db_prep_save(value, database) for value in set(column)}
    return [known[value] for value in column]


def _fields(model: type[models.Model], names: Sequence[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
