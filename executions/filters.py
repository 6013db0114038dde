"""Query parameters of the lists of executions."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import django_filters

from core.api.timestamps import DateRange
from executions.models import Execution, ExecutionQuerySet


class ExecutionFilter(django_filters.FilterSet):
    """Filters of the lists; an unknown value matches nothing. `DateRange` reads `from` and `to`."""

    job_id = django_filters.CharFilter(method="of_job")
    status = django_filters.CharFilter(method="any_of")
    trigger_type = django_filters.CharFilter(method="any_of")
    execution_type = django_filters.CharFilter(method="any_of")

    class Meta:
        model = Execution
        fields: list[str] = []

    def of_job(self, queryset: ExecutionQuerySet, name: str, value: str) -> ExecutionQuerySet:
        try:
            return queryset.filter(job_id=UUID(value))
        except ValueError:
            return queryset.none()

    def any_of(self, queryset: ExecutionQuerySet, name: str, value: str) -> ExecutionQuerySet:
        return queryset.filter(**{f"{name}__in": [item.strip() for item in value.split(",")]})


def filtered(
    queryset: ExecutionQuerySet, params: Mapping[str, str], among: tuple[str, ...] | None = None
) -> tuple[ExecutionQuerySet, DateRange]:
    """The executions that match `params`, by the filters in `among` (all by default) and the date range."""
    wanted = {name: params[name] for name in (among or ExecutionFilter.base_filters) if name in params}
    found: ExecutionQuerySet = ExecutionFilter(wanted, queryset).qs
    span = DateRange.from_query(params)
    return found.filter(**span.lookup("started_at")), span
