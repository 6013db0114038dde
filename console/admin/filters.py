"""List filters that dashboard and calendar link to. Their state is in the URL, so a filtered list can be bookmarked."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.date_params import period, read_moment
from console.situations import condition
from executions.models import Execution, Status
from jobs.models import Job
from jobs.targets import kinds


class AttentionFilter(SimpleListFilter):
    """Jobs that need attention."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("failing", _("Failing")),
            ("flapping", _("Flapping")),
            ("paused", _("Paused")),
            ("disabled", _("Disabled")),
            ("problem", _("Cannot run")),
            ("ending", _("Ending within 30 days")),
            ("mine", _("Mine")),
            ("idle", _("Active without a next run")),
            ("ended", _("Disabled by their end date")),
            ("unknown_team", _("Team disabled")),
            ("late", _("Late")),
            ("clock", _("Scheduled jobs")),
        ]

    def queryset(self, request: Any, queryset: QuerySet[Job]) -> QuerySet[Job]:
        wanted = condition(self.value() or "", request.user)
        return queryset if wanted is None else queryset.filter(wanted)


class LastOutcomeFilter(SimpleListFilter):
    """Jobs by the status of their latest execution."""

    title = _("last outcome")
    parameter_name = "last_status"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, label in Status.choices]

    def queryset(self, request: Any, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(last_status=self.value()) if self.value() in Status.values else queryset


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

    title = _("kind of target")
    parameter_name = "execution_type__exact"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return kinds.choices()

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return queryset.filter(execution_type=self.value()) if self.value() else queryset


class WhenFilter(SimpleListFilter):
    """Executions by when they started: periods up to now, and days in the scheduler's zone."""

    title = _("time")
    parameter_name = "when"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("hour", _("Last hour")),
            ("day", _("Last 24 hours")),
            ("week", _("Last 7 days")),
            ("today", _("Today")),
            ("yesterday", _("Yesterday")),
            ("night", _("Last night, 18:00-09:00")),
        ]

    def queryset(self, request: Any, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        span = period(self.value() or "", timezone.now())
        return queryset.filter(started_at__gte=span[0], started_at__lt=span[1]) if span else queryset


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
