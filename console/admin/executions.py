"""Executions in the admin. The list does not count its rows, because there may be millions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.paginator import InfinitePaginator

from console.admin import columns
from console.admin.filters import AgeFilter, DayFilter, ExecutionTypeFilter, FromFilter, ToFilter
from console.pages import execution as execution_page
from console.templatetags.console import duration
from core.admin import ReadOnlyAdmin
from core.api.errors import DomainError
from core.masking import masked_text
from executions import services
from executions.models import OPEN, Execution, Worker
from jobs.services import get_job, may_touch

# The parameters of links from the calendar, in addition to the filters.
_LOOKUPS = frozenset(
    {"job", "job__pic_team", "job__pic_team__slug", "job__category__slug", "job__cron_expression", "status__in"}
)


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """One row for each execution, newest first."""

    list_display = ("began", "job_name", "outcome", "took", "trigger_type", "response_status", "error")
    list_display_links = ("began",)
    list_filter = ("status", AgeFilter, DayFilter, FromFilter, ToFilter, "trigger_type", ExecutionTypeFilter)
    linked_lookups = _LOOKUPS
    search_fields = ("job__name",)
    search_help_text = gettext_lazy("Name of the job")
    list_select_related = ("job",)
    show_full_result_count = False
    paginator = InfinitePaginator
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).of_kept_jobs()

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<path:execution_id>/again/", view(self.again), name="executions_execution_again"),
            path("<path:execution_id>/cancel/", view(self.cancel), name="executions_execution_cancel"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("Began"))
    def began(self, execution: Execution) -> Any:
        return execution.started_at

    @admin.display(description=gettext_lazy("Job"))
    def job_name(self, execution: Execution) -> str:
        url = reverse("admin:jobs_job_change", args=[execution.job_id])
        return format_html('<a href="{}">{}</a>', url, execution.job.name)

    @admin.display(description=gettext_lazy("Outcome"))
    def outcome(self, execution: Execution) -> str:
        return columns.outcome(execution.status)

    @admin.display(description=gettext_lazy("Took"))
    def took(self, execution: Execution) -> str:
        return duration(execution.duration_seconds)

    @admin.display(description=gettext_lazy("Reason"))
    def error(self, execution: Execution) -> str:
        return masked_text(execution.error_message)[:80]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one execution."""
        try:
            execution = services.get_execution(object_id)
        except DomainError:
            answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return answer
        if not self.has_view_permission(request, execution):
            raise PermissionDenied
        user: Any = request.user
        context = {
            **self.admin_site.each_context(request),
            "title": execution.job.name,
            "opts": self.opts,
            "execution": execution,
            "may_run": may_touch(execution.job, user),
            "is_open": execution.status in OPEN,
            **execution_page.context(execution),
        }
        return TemplateResponse(request, "console/execution.html", context)

    def again(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Run the execution's job again with the same overrides."""
        if request.method != "POST":
            return HttpResponse(status=405)
        user: Any = request.user
        try:
            execution = services.get_execution(execution_id)
            if not may_touch(get_job(execution.job_id), user):
                raise PermissionDenied
            new = services.trigger_now(execution.job_id, execution_page.overrides_of(execution), by=user)
        except DomainError as exc:
            self.message_user(request, exc.message, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:executions_execution_changelist"))
        self.message_user(request, _("It runs now."), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[new.pk]))

    def cancel(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Cancel an execution that has not ended."""
        if request.method != "POST":
            return HttpResponse(status=405)
        user: Any = request.user
        try:
            services.cancel(execution_id, by=user)
        except DomainError as exc:
            self.message_user(request, exc.message, messages.ERROR)
        else:
            self.message_user(request, _("It is cancelled."), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution_id]))


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("host", "pid", "started_at", "heartbeat_at")
    list_filter = ("host",)
    search_fields = ("host",)
