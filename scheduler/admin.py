"""The admin of leadership and resyncs."""

from __future__ import annotations

from django.contrib import admin

from core.admin import ReadOnlyAdmin
from scheduler.models import Leadership, LeaderTerm, Resync


@admin.register(Leadership)
class LeadershipAdmin(ReadOnlyAdmin):
    list_display = ("leader_id", "fencing_token", "acquired_at", "heartbeat_at", "schedules", "last_resync_at")


@admin.register(Resync)
class ResyncAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "requested_by", "answered_at")
    list_filter = ("requested_at",)
    search_fields = ("requested_by__username",)


@admin.register(LeaderTerm)
class LeaderTermAdmin(ReadOnlyAdmin):
    """The periods of leadership."""

    list_display = ("fencing_token", "leader_id", "started_at", "ended_at")
    list_filter = ("started_at",)
    search_fields = ("leader_id",)
