"""INSERT and UPDATE of many rows by one statement.

A statement for each row costs PostgreSQL twice as much or more, and on SQLite each gives the interpreter to other
threads and waits for it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

# SQLite's own default of the largest number of parameters (SQLITE_MAX_VARIABLE_NUMBER, since 3.32).
_SQLITE_PARAMETERS = 32_766
# PostgreSQL gets each column as one parameter.
_POSTGRESQL_ROWS = 10_000

Rows = Sequence[Sequence[Any]]


def update_many(
    model: type[models.Model], columns: Sequence[str], keys: Sequence[str], rows: Rows, *, condition: str = ""
) -> None:
    """Update the rows with these keys. A row holds the values of `columns`, then of `keys`. `condition` is appended to
    WHERE.
    """
    fields = _fields(model, (*columns, *keys))
    sets = ", ".join(f"{_quoted(field)} = given.{_given(place)}" for place, field in enumerate(fields[: len(columns)]))
    match = " AND ".join(
        f"{_table(model)}.{_quoted(field)} = given.{_given(place)}"
        for place, field in enumerate(fields[len(columns) :], len(columns))
    )
    for source, values in _sources(fields, rows):
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {_table(model)} SET {sets} FROM {source} WHERE {match} {condition}", values)


def insert_new(model: type[models.Model], columns: Sequence[str], rows: Rows) -> int:
    """Insert rows with the values of `columns`; those that violate a unique constraint are skipped. Returns the number
    of stored rows.
    """
    return _insert(model, _fields(model, columns), rows, "DO NOTHING")


def add_up(
    model: type[models.Model], keys: Sequence[str], columns: Sequence[str], rows: Rows, *, largest: str = ""
) -> None:
    """Add numbers to the rows with these keys, inserting missing rows. A row holds the values of `keys`, then of
    `columns`; no two rows have the same keys.

    For the column `largest` the maximum is kept instead of the sum.
    """
    fields = _fields(model, (*keys, *columns))
    table = _table(model)
    sets = []
    for field in fields[len(keys) :]:
        name = _quoted(field)
        kept = f"CASE WHEN excluded.{name} > {table}.{name} THEN excluded.{name} ELSE {table}.{name} END"
        sets.append(f"{name} = " + (kept if field.name == largest else f"{table}.{name} + excluded.{name}"))
    match = ", ".join(_quoted(field) for field in fields[: len(keys)])
    _insert(model, fields, rows, f"({match}) DO UPDATE SET {', '.join(sets)}")


def _insert(model: type[models.Model], fields: Sequence[Any], rows: Rows, on_conflict: str) -> int:
    names, stored = ", ".join(map(_quoted, fields)), 0
    for source, values in _sources(fields, rows):
        # Without WHERE, SQLite reads ON as the condition of a join ("UPSERT", section 2.2).
        sql = f"INSERT INTO {_table(model)} ({names}) SELECT * FROM {source} WHERE true ON CONFLICT {on_conflict}"
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            stored += int(cursor.rowcount)
    return stored


def _sources(fields: Sequence[Any], rows: Rows) -> Iterator[tuple[str, list[Any]]]:
    """The table `given` of the values of rows, as SQL and its parameters; several if one would be too large."""
    is_sqlite = connection.vendor == "sqlite"
    size = _SQLITE_PARAMETERS // len(fields) if is_sqlite else _POSTGRESQL_ROWS
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        columns = [_prepared(field, column) for field, column in zip(fields, zip(*part, strict=True), strict=True)]
        if is_sqlite:
            marks = f"({', '.join(['%s'] * len(fields))})"
            yield f"(VALUES {', '.join([marks] * len(part))}) AS given", [*chain(*zip(*columns, strict=True))]
        else:
            arrays = ", ".join(f"%s::{_postgresql_type(field)}[]" for field in fields)
            yield f"unnest({arrays}) AS given({', '.join(map(_given, range(len(fields))))})", columns


def _given(place: int) -> str:
    # SQLite's own name for a column of VALUES.
    return f"column{place + 1}"


def _postgresql_type(field: Any) -> str:
    name = str(field.db_type(connection))
    # A cast to varchar(n) would cut what is too long.
    return "text" if name.startswith("varchar") else name


def _prepared(field: Any, column: Sequence[Any]) -> list[Any]:
    """A column's values as database parameters: what `field.get_db_prep_save` gives. Columns of which many values may
    be distinct skip its chain of calls for each; other equal values are converted once.
    """
    database = connections[DEFAULT_DB_ALIAS]
    # Not their subclasses: those may encrypt.
    if type(field) in {models.CharField, models.TextField}:
        return [*column]
    if type(field) is models.FloatField:
        return [None if value is None else float(value) for value in column]
    if isinstance(field, models.DateTimeField):
        return [database.ops.adapt_datetimefield_value(value) for value in column]
    if isinstance(field, models.JSONField):
        return [None if value is None else database.ops.adapt_json_value(value, field.encoder) for value in column]
    if isinstance(field.target_field if field.is_relation else field, models.UUIDField):
        is_native = database.features.has_native_uuid_field
        return [value if value is None or is_native else value.hex for value in column]
    if field.primary_key:
        return [field.get_db_prep_save(value, database) for value in column]
    known = {value: field.get_db_prep_save(value, database) for value in set(column)}
    return [known[value] for value in column]


def _fields(model: type[models.Model], names: Sequence[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
