"""Which executions a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import django_filters
from django.db.models import QuerySet

from contract.times import DateRange
from executions.models import Execution


class ExecutionFilter(django_filters.FilterSet):
    """Query parameters of the lists; unknown values match nothing. `from` and `to` are read by `DateRange`."""

    job_id = django_filters.CharFilter(method="of_job")
    status = django_filters.CharFilter(method="any_of")
    trigger_type = django_filters.CharFilter(method="any_of")
    execution_type = django_filters.CharFilter(method="any_of")

    class Meta:
        model = Execution
        fields: list[str] = []

    def of_job(self, queryset: QuerySet[Execution], name: str, value: str) -> QuerySet[Execution]:
        try:
            return queryset.filter(job_id=UUID(value))
        except ValueError:
            return queryset.none()

    def any_of(self, queryset: QuerySet[Execution], name: str, value: str) -> QuerySet[Execution]:
        return queryset.filter(**{f"{name}__in": [item.strip() for item in value.split(",")]})


def filtered(
    queryset: QuerySet[Execution], params: Mapping[str, str], among: tuple[str, ...] | None = None
) -> tuple[QuerySet[Execution], DateRange]:
    """The executions that `params` ask for, by the filters `among` (all by default), and the range of time."""
    wanted = {name: params[name] for name in (among or ExecutionFilter.base_filters) if name in params}
    found = ExecutionFilter(wanted, queryset).qs
    span = DateRange.from_query(params)
    return found.filter(**span.lookup("started_at")), span
