"""Filters, search and order of the job list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet

from accounts.permissions import require_login
from core.api.payload import query_boolean
from jobs import services
from jobs.models import Job


class TotalOrder(django_filters.OrderingFilter):
    """A total order: without ties, pages neither repeat nor omit a row."""

    def filter(self, qs: QuerySet[Job], value: Any) -> QuerySet[Job]:
        ordered: QuerySet[Job] = super().filter(qs, value)
        return ordered.order_by(*ordered.query.order_by, "id") if ordered.query.order_by else ordered


class StrictBoolean(django_filters.CharFilter):
    """`true` or `false` (also 1 and 0, in any case); anything else is an error instead of no filter."""

    def filter(self, qs: QuerySet[Job], value: str) -> QuerySet[Job]:
        wanted = query_boolean({self.field_name: value}, self.field_name)
        return qs if wanted is None else qs.filter(**{self.field_name: wanted})


class JobFilter(django_filters.FilterSet):
    """Query parameters of `GET /jobs`; an unknown value matches nothing."""

    search = django_filters.CharFilter(method="search_text", help_text="Part of the name, the target or the team.")
    is_active = StrictBoolean()
    category = django_filters.CharFilter("category__slug", help_text="Slug of the category.")
    pic_team = django_filters.CharFilter("pic_team__slug", help_text="Slug of the PIC team.")
    created_by = django_filters.CharFilter(method="of_owner", help_text="Id of the owner.")
    last_status = django_filters.CharFilter("last_status")
    ordering = TotalOrder(
        fields=[
            "name",
            "created_at",
            "updated_at",
            "end_date",
            ("next_run_at", "next_execution_at"),
            "last_execution_at",
        ]
    )

    class Meta:
        model = Job
        fields: list[str] = []

    def search_text(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        return services.search(queryset, value, require_login(self.request))

    def of_owner(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Any]:
        owned: QuerySet[Any] = queryset.filter(created_by__in=_uuids(value))
        return owned


def _uuids(value: str) -> list[UUID]:
    try:
        return [UUID(value)]
    except ValueError:
        return []
