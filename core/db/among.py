"""`id IN (...)` for thousands of ids.

Django's own `in` prepares each value for the database by itself. What this buys: docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db.models import F, Lookup


class _Among(Lookup[bool]):
    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        if not self.rhs:
            raise EmptyResultSet
        column, parameters = self.process_lhs(compiler, connection)
        if connection.features.has_native_uuid_field:
            return f"{column} = ANY(%s)", [*parameters, self.rhs]
        return f"{column} IN ({', '.join(['%s'] * len(self.rhs))})", [*parameters, *[one.hex for one in self.rhs]]


def among(ids: Iterable[UUID]) -> _Among:
    """The condition that a row has one of these ids, for `filter`; its model's primary key is a UUID."""
    return _Among(F("pk"), list(ids))
