"""The history in the admin, and "Run now" for jobs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from contract.admin import ReadOnlyAdmin
from contract.errors import DomainError
from executions import services
from executions.models import Execution, Worker
from jobs.admin import JobAdmin
from jobs.models import Job


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """The history. Totals are not counted, as there may be millions."""

    list_display = (
        "job",
        "status",
        "trigger_type",
        "scheduled_for",
        "started_at",
        "duration_seconds",
        "response_status",
    )
    list_filter = ("status", "trigger_type", "execution_type", "started_at")
    search_fields = ("job__name", "target")
    list_select_related = ("job",)
    show_full_result_count = False
    list_per_page = 50


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "heartbeat_at")
    list_filter = ("host",)
    search_fields = ("host",)


@admin.action(description="Run now", permissions=["change"])
def run_now(model_admin: JobAdmin, request: HttpRequest, queryset: QuerySet[Job]) -> None:
    """Run the chosen jobs once, also inactive ones."""
    user: Any = request.user
    started = 0
    for job in queryset:
        try:
            services.trigger_now(job.pk, {}, by=user)
            started += 1
        except DomainError as exc:
            model_admin.message_user(request, f"{job.name}: {exc.message}", messages.ERROR)
    model_admin.message_user(request, f"{started} started; see their executions.")


JobAdmin.actions = [run_now, *JobAdmin.actions]
