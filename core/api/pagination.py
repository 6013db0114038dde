"""Pagination of lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

from core.api.payload import query_int

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    """One page of a queryset; a page beyond the end is empty."""

    items: Sequence[M]
    total: int
    number: int
    size: int

    @classmethod
    def of(
        cls,
        queryset: QuerySet[M],
        params: Mapping[str, str],
        *,
        size_name: str = "limit",
        clamp: bool = False,
        total: int | None = None,
    ) -> Page[M]:
        """Read `page` (default 1) and `size_name` (default 20, 1 to 200) and fetch the rows.

        With `clamp`, sizes above 100 mean 100. `total`: the number of rows, if the caller knows it.
        """
        number = query_int(params, "page", 1)
        size = query_int(params, size_name, 20, most=None if clamp else 200)
        size = min(size, 100) if clamp else size
        total = queryset.count() if total is None else total
        return cls(_items(queryset, total, (number - 1) * size, size), total, number, size)

    def body(self, size_name: str = "limit") -> dict[str, Any]:
        """`total`, `page`, the size and `total_pages`, as the API names them."""
        return {
            "total": self.total,
            "page": self.number,
            size_name: self.size,
            "total_pages": -(-self.total // self.size),
        }


def _items(queryset: QuerySet[M], total: int, start: int, size: int) -> list[M]:
    """Fetch the keys along the index, from the end for the second half of the list, then the rows of the page."""
    stop = min(start + size, total)
    if start >= stop:
        return []
    if start > total // 2:
        keys = list(queryset.reverse().values_list("pk", flat=True)[total - stop : total - start])[::-1]
    else:
        keys = list(queryset.values_list("pk", flat=True)[start:stop])
    rows = {row.pk: row for row in queryset.filter(pk__in=keys).order_by()}
    return [rows[key] for key in keys if key in rows]
