"""The admin of leadership and resyncs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from core.admin import ReadOnlyAdmin
from core.sentences import said
from scheduler.models import Leadership, LeaderTerm, Resync

# The library's own pages can start what a row's pickle names.
admin.site.unregister([DjangoJob, DjangoJobExecution])


# The words of the library's states.
_OUTCOMES = {
    DjangoJobExecution.SENT: _("Running"),
    DjangoJobExecution.SUCCESS: _("Success"),
    DjangoJobExecution.MISSED: _("Missed"),
    DjangoJobExecution.MAX_INSTANCES: _("Skipped"),
    DjangoJobExecution.ERROR: _("Failed"),
}


@admin.register(DjangoJob)
class ChoreAdmin(ReadOnlyAdmin):
    """Cronsched's own periodic jobs, and when each is due."""

    purpose = _("Cronsched's own periodic work.")
    list_display = ("name", "due")
    fields = ("name", "due")
    plural = _("Maintenance tasks")
    search_fields = ("id",)

    @admin.display(description=_("Name"), ordering="id")
    def name(self, chore: DjangoJob) -> str:
        return said(chore.id)

    @admin.display(description=_("Next run"), ordering="next_run_time")
    def due(self, chore: DjangoJob) -> Any:
        return chore.next_run_time


@admin.register(DjangoJobExecution)
class ChoreRunAdmin(ReadOnlyAdmin):
    """Their runs."""

    purpose = _("The runs of Cronsched's own periodic work.")
    list_display = fields = ("name", "ran_at", "outcome", "took", "error")
    plural = _("Housekeeping")
    list_filter = ("status", "run_time")
    search_fields = ("job__id",)

    @admin.display(description=_("Name"), ordering="job")
    def name(self, run: DjangoJobExecution) -> str:
        return said(run.job_id)

    @admin.display(description=_("Started"), ordering="run_time")
    def ran_at(self, run: DjangoJobExecution) -> Any:
        return run.run_time

    @admin.display(description=_("Outcome"), ordering="status")
    def outcome(self, run: DjangoJobExecution) -> str:
        return str(_OUTCOMES.get(run.status, run.status))

    @admin.display(description=_("Duration"), ordering="duration")
    def took(self, run: DjangoJobExecution) -> str:
        return "—" if run.duration is None else f"{run.duration:.2f} s"

    @admin.display(description=_("Reason"))
    def error(self, run: DjangoJobExecution) -> str:
        return said(run.exception or "")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("traceback")


@admin.register(Leadership)
class LeadershipAdmin(ReadOnlyAdmin):
    purpose = _("Which scheduler leads; it is here once one has run.")
    list_display = ("leader_id", "fencing_token", "acquired_at", "heartbeat_at", "schedules", "last_resync_at")


@admin.register(Resync)
class ResyncAdmin(ReadOnlyAdmin):
    purpose = _("Requests to compare the schedules with the database at once.")
    list_display = ("requested_at", "requested_by", "answered_at")
    list_filter = ("requested_at",)
    search_fields = ("requested_by__username",)


@admin.register(LeaderTerm)
class LeaderTermAdmin(ReadOnlyAdmin):
    """The periods of leadership."""

    purpose = _("Which scheduler led from when until when.")
    list_display = ("fencing_token", "leader_id", "started_at", "ended_at")
    list_filter = ("started_at",)
    search_fields = ("leader_id",)
