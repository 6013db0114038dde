"""Rows of a statement that the ORM cannot write, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, models


def rows_of(
    model: type[models.Model], columns: Sequence[str], sql: str, parameters: Sequence[Any]
) -> Iterator[Sequence[Any]]:
    """The rows of `sql`, which selects these columns of a model, as values of the model's fields; without instances,
    which would take most of the time.
    """
    compiler = model._default_manager.all().query.get_compiler(DEFAULT_DB_ALIAS)
    # A foreign key's `get_col` is of the type of the key that it refers to.
    shown = [model._meta.get_field(name).get_col(model._meta.db_table) for name in columns]  # type: ignore[union-attr]
    converters = compiler.get_converters(shown)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        yield from compiler.apply_converters(cursor, converters)
