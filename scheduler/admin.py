"""Leadership and resyncs in the admin."""

from __future__ import annotations

from django.contrib import admin

from contract.admin import ReadOnlyAdmin
from scheduler.models import Leadership, Resync


@admin.register(Leadership)
class LeadershipAdmin(ReadOnlyAdmin):
    list_display = ("leader_id", "fencing_token", "acquired_at", "heartbeat_at", "schedules", "last_resync_at")


@admin.register(Resync)
class ResyncAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "requested_by", "answered_at")
    list_filter = ("requested_at",)
    search_fields = ("requested_by__username",)
