"""Deleting many rows in steps, so that no writer waits for long."""

from __future__ import annotations

from typing import Any

_AT_ONCE = 2000


def delete_in_steps(rows: Any, *, at_once: int = _AT_ONCE) -> int:
    """Delete the rows of a queryset, each step in a transaction of its own; returns how many."""
    total = 0
    while ids := list(rows.values_list("pk", flat=True)[:at_once]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        total += len(ids)
    return total
