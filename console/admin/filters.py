"""List filters that dashboard and calendar link to. Their state is in the URL, so a filtered list can be bookmarked."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.date_params import read_day, read_moment
from console.job_conditions import conditions
from executions.models import Execution
from jobs.models import Job
from jobs.models import today as current_day
from jobs.targets import kinds


class AttentionFilter(SimpleListFilter):
    """Jobs that need attention."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("failing", _("Failing now")),
            ("problem", _("Cannot be fired")),
            ("ending", _("Ending within 30 days")),
            ("idle", _("Active without a next run")),
            ("ended", _("Paused by their end date")),
            ("unknown_team", _("Team disabled")),
            ("late", _("Late")),
            ("clock", _("On the clock")),
        ]

    def queryset(self, request: Any, queryset: QuerySet[Job]) -> QuerySet[Job]:
        condition = conditions().get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class TargetFilter(SimpleListFilter):
    """Jobs by kind of target."""

    title = _("target")
    parameter_name = "target"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind.short_name, kind.noun) for kind in kinds.registered()]

    def queryset(self, request: Any, queryset: QuerySet[Job]) -> QuerySet[Job]:
        chosen = [kind.kind for kind in kinds.registered() if kind.short_name == self.value()]
        return queryset.filter(target_kind__in=chosen) if chosen else queryset


class ExecutionTypeFilter(SimpleListFilter):
    """Executions by kind of target."""

    title = _("execution type")
    parameter_name = "execution_type__exact"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return kinds.choices()

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return queryset.filter(execution_type=self.value()) if self.value() else queryset


class OwnerFilter(SimpleListFilter):
    """The user's own jobs."""

    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("My jobs"))]

    def queryset(self, request: Any, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(created_by=request.user) if self.value() == "me" else queryset


class AgeFilter(SimpleListFilter):
    """Executions by the time since they began."""

    title = _("began")
    parameter_name = "age"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [("hour", _("Last hour")), ("day", _("Last 24 hours")), ("week", _("Last 7 days"))]

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        ages = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1), "week": dt.timedelta(days=7)}
        age = ages.get(self.value() or "")
        return queryset if age is None else queryset.filter(started_at__gte=timezone.now() - age)


class DayFilter(SimpleListFilter):
    """One of the last days in the scheduler's zone. Reads only the rows of that day."""

    title = _("day")
    parameter_name = "day"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        days = [current_day() - dt.timedelta(days=number) for number in range(14)]
        if (chosen := read_day(request.GET.get("day", ""))) and chosen not in days:
            days.append(chosen)
        return [(day.isoformat(), f"{day:%Y-%m-%d}") for day in days]

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        day = read_day(self.value() or "")
        if day is None:
            return queryset
        start = dt.datetime.combine(day, dt.time(), settings.SCHEDULER_ZONE)
        return queryset.filter(started_at__gte=start, started_at__lt=start + dt.timedelta(days=1))


class _MomentFilter(SimpleListFilter):
    """A bound in the scheduler's zone, such as `2026-11-24T09:00`; shown while it is in the URL."""

    lookup = ""

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        value = request.GET.get(self.parameter_name)
        return [(value, value.replace("T", " "))] if value else []

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        moment = read_moment(self.value() or "")
        if moment is None:
            return queryset
        return queryset.filter(**{self.lookup: moment})


class FromFilter(_MomentFilter):
    title = _("from")
    parameter_name = "from"
    lookup = "started_at__gte"


class ToFilter(_MomentFilter):
    title = _("before")
    parameter_name = "to"
    lookup = "started_at__lt"
