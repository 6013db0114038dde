"""Filters, search and order of the job list."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from accounts.models import User
from accounts.permissions import require_login
from core.api.payload import query_boolean
from jobs import services
from jobs.models import Job
from taxonomy.models import Category, PicTeam


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


def _outcomes() -> Any:
    """The states of executions, which are defined above this floor."""
    executions: Any = Job._meta.get_field("executions").related_model
    return executions._meta.get_field("status").choices


def _choice(model: Any, key: str, otherwise: str) -> django_filters.ModelChoiceFilter:
    """A filter that takes the `key` of a row of `model`; `otherwise`: the error for others."""
    return django_filters.ModelChoiceFilter(
        queryset=model.objects.all(), to_field_name=key, error_messages={"invalid_choice": otherwise}
    )


class JobFilter(django_filters.FilterSet):
    """Query parameters of `GET /jobs`; an unknown value is an error."""

    search = django_filters.CharFilter(method="search_text")
    is_active = StrictBoolean()
    category = _choice(Category, "slug", "There is no category with the slug '%(value)s'.")
    pic_team = _choice(PicTeam, "slug", "There is no PIC team with the slug '%(value)s'.")
    created_by = _choice(User, "pk", "There is no user with the id '%(value)s'.")
    last_status = django_filters.ChoiceFilter(choices=_outcomes)
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
