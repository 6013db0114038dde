"""Executions in the admin: the list and the page of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import RelatedFieldListFilter
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import conditional_page

from accounts.permissions import require_login
from console.admin import columns, execution_actions
from console.admin.filters import ExecutionTypeFilter, FromFilter, ToFilter, WhenFilter
from console.admin.lists import ConsoleChangeList, ExactPaginator
from console.pages import execution as execution_page
from console.pages import link_preview
from console.templatetags.console import duration, moment
from core.admin import ReadOnlyAdmin
from core.api.errors import DomainError
from core.masking import masked_text
from core.sentences import said
from executions import services
from executions.models import Execution, Worker
from executions.statistics import total_count
from jobs.models import Job
from jobs.services import may_touch


class ExecutionChangeList(ConsoleChangeList):
    """A page of executions; their jobs are offered as a filter."""

    has_range = True

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        names = {} if "job" in self.filter_params else {one.job_id: one.job.name for one in self.result_list}
        self.offered = [
            {"display": name, "query_string": self.get_query_string({"job": pk}, ["p"])}
            for pk, name in sorted(names.items(), key=lambda found: found[1])
        ]


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """One row for each execution, newest first."""

    bar_template = "console/failed_again.html"
    list_display = ("job_name", "outcome", "began", "took", "trigger_type", "response_status", "error")
    list_display_links = ("began",)
    list_filter = (
        "status",
        WhenFilter,
        FromFilter,
        ToFilter,
        ("job__pic_team", RelatedFieldListFilter),
        ("job__category", RelatedFieldListFilter),
        "trigger_type",
        ExecutionTypeFilter,
    )
    linked_lookups = {
        "job": gettext_lazy("Job"),
        "job__created_by": gettext_lazy("Owner"),
        "job__pic_team": gettext_lazy("Team"),
        "job__pic_team__slug": gettext_lazy("Team"),
        "job__category__slug": gettext_lazy("Category"),
        "job__cron_expression": gettext_lazy("Schedule"),
        "status__in": gettext_lazy("Outcome"),
    }
    search_fields = ("job__name",)
    search_help_text = gettext_lazy("Name of the job")
    purpose = gettext_lazy("Each run of a job is listed here, with its outcome and the reason if it failed.")
    list_select_related = ("job",)
    show_full_result_count = False
    actions: Any = execution_actions.ALL
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ExecutionChangeList]:
        return ExecutionChangeList

    def has_rerun_permission(self, request: HttpRequest) -> bool:
        """Viewers run nothing."""
        return require_login(request).may_create_jobs

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).of_kept_jobs()

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any) -> Any:
        pages = ExactPaginator(queryset, per_page)
        if not set(request.GET) - {"p"} and not Job.with_deleted.deleted().exists():
            pages.known = total_count.total(Execution.objects, ("", ""))
        return pages

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<path:execution_id>/again/", view(self.again), name="executions_execution_again"),
            path("<path:execution_id>/live/", view(conditional_page(self.live)), name="executions_execution_live"),
            path("<path:execution_id>/cancel/", view(self.cancel), name="executions_execution_cancel"),
            path(
                "<path:execution_id>/failed-again/",
                view(self.failed_again),
                name="executions_execution_failed_again",
            ),
            path("<path:execution_id>/enable/", view(self.enable), name="executions_execution_enable"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("Started"))
    def began(self, execution: Execution) -> str:
        return moment(execution.started_at)

    @admin.display(description=gettext_lazy("Job"))
    def job_name(self, execution: Execution) -> str:
        url = reverse("admin:jobs_job_view", args=[execution.job_id])
        return format_html('<a href="{}">{}</a>', url, execution.job.name)

    @admin.display(description=gettext_lazy("Outcome"))
    def outcome(self, execution: Execution) -> str:
        url = reverse("admin:executions_execution_change", args=[execution.pk])
        return format_html('<a href="{}">{}</a>', url, columns.outcome(execution.status))

    @admin.display(description=gettext_lazy("Duration"))
    def took(self, execution: Execution) -> str:
        return duration(execution.duration_seconds)

    @admin.display(description=gettext_lazy("Reason"))
    def error(self, execution: Execution) -> str:
        return said(masked_text(execution.error_message))[:80]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one execution."""
        try:
            shown = self._shown(request, object_id)
        except DomainError:
            answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return answer
        job = shown["execution"].job
        crumbs = [
            {"title": capfirst(job._meta.verbose_name_plural), "url": reverse("admin:jobs_job_changelist")},
            {"title": job.name, "url": reverse("admin:jobs_job_view", args=[job.pk])},
        ]
        context = {**self.admin_site.each_context(request), "crumbs": crumbs, **shown}
        return TemplateResponse(request, "console/execution.html", context)

    def live(self, request: HttpRequest, execution_id: str) -> HttpResponse:
        """The part of the page that renews itself until the execution has ended."""
        try:
            shown = self._shown(request, execution_id)
        except DomainError as exc:
            raise Http404 from exc
        answer = render(request, "console/execution_live.html", shown)
        if not shown["is_open"]:
            answer["X-Renew"] = "never"
        return answer

    def _shown(self, request: HttpRequest, execution_id: str) -> dict[str, Any]:
        execution = services.get_execution(execution_id)
        if not self.has_view_permission(request, execution):
            raise PermissionDenied
        return {
            **execution_page.context(execution, require_login(request)),
            "link": link_preview.address(execution),
        }

    def again(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Run the execution's job again with the same overrides."""
        if request.method != "POST":
            return HttpResponse(status=405)
        user: Any = request.user
        try:
            execution = services.get_execution(execution_id)
            if not may_touch(execution.job, user):
                raise PermissionDenied
            new = services.run_again(execution, by=user, force=bool(request.POST.get("force")))
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:executions_execution_changelist"))
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[new.pk]))

    def cancel(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Cancel an execution that has not ended."""

        def act(execution: Execution, user: Any) -> str:
            services.cancel(execution.pk, by=user)
            return _("It is cancelled.")

        return self._act(request, execution_id, act)

    def failed_again(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Run the failed jobs of the execution's workflow run again."""

        def act(execution: Execution, user: Any) -> str:
            services.run_failed_jobs_again(execution, by=user, force=bool(request.POST.get("force")))
            return _("Its failed jobs are run again; the outcome follows.")

        return self._act(request, execution_id, act)

    def enable(self, request: HttpRequest, execution_id: str) -> HttpResponseBase:
        """Enable the execution's workflow on GitHub."""

        def act(execution: Execution, user: Any) -> str:
            services.enable_workflow(execution.job_id, by=user)
            return _("The workflow is enabled on GitHub. Run it again.")

        return self._act(request, execution_id, act)

    def _act(self, request: HttpRequest, execution_id: str, act: Callable[[Execution, Any], str]) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponse(status=405)
        try:
            words = act(services.get_execution(execution_id), request.user)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        else:
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution_id]))


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    purpose = gettext_lazy("Processes that carry runs out; each reports every few seconds.")
    list_display = ("host", "pid", "started_at", "heartbeat_at")
    list_filter = ("host",)
    search_fields = ("host",)
