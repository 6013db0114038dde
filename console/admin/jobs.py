"""Jobs in the admin: list, form and one-click actions. Changes go through the services, as those of the API do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import md5
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import conditional_page

from accounts.models import User
from accounts.permissions import require_login
from console import kept
from console.admin import actions, columns, undo
from console.admin.filters import AttentionFilter, LastOutcomeFilter, TargetFilter
from console.admin.forms import JobForm, form_fields
from console.admin.job_runs import JobRuns
from console.admin.job_search import few_found
from console.admin.job_verbs import JobVerbs
from console.admin.lists import ConsoleChangeList, ExactPaginator
from console.admin.sections import job_sections, option_fields
from console.pages import job as job_page
from console.pages import job_form, windows
from console.situations import condition
from core.admin import ProductAdmin, ReadOnlyAdmin
from core.api.errors import DomainError
from core.runtime import parking
from core.sentences import said
from executions.models import Execution
from executions.statistics import queries
from executions.trials import try_target
from jobs import services
from jobs.advice import warnings_of
from jobs.models import Job, Revision
from jobs.targets.kinds import searched_columns
from settings_app.services import columns_of
from windows.cover import Cover, stopping_now

_RUNS = 20


class JobChangeList(ConsoleChangeList):
    """A page of jobs, with their latest runs from one more query, and tabs with counts."""

    def get_results(self, request: HttpRequest) -> None:
        user = require_login(request)
        self.tabs = self._tabs(request, user)
        # The paginator, which the admin makes, need not count what the current tab tells.
        request.known_count = self.known_count  # type: ignore[attr-defined]
        super().get_results(request)
        runs = queries.latest_runs([job.pk for job in self.result_list], _RUNS)
        cover, now = Cover.now(), timezone.now()
        for job in self.result_list:
            job.runs = runs[job.pk]
            job.is_inside = job.is_active and cover.inside(job, now) is not None
            job.kept_from = job.next_run_at and windows.note(job, job.next_run_at, cover)
            job.may_touch = services.may_touch(job, user)
        shown = columns_of(user)
        self.column_choices = [(name, _COLUMN_TITLES[name], shown[name]) for name in _OPTIONAL_COLUMNS]

    def url_for_result(self, result: Job) -> str:
        """The page for reading; its form is one click further."""
        return reverse("admin:jobs_job_view", args=[result.pk])

    def _tabs(self, request: HttpRequest, user: User) -> list[dict[str, Any]]:
        """The situations with the number of jobs in each, under the list's other filters."""
        jobs = self.get_queryset(request, exclude_parameters=["attention"]).order_by()
        now = timezone.now()
        # A window opens and closes without a run.
        open_now = stopping_now(now)
        paused = tuple(sorted((zone, str(window.pk)) for zone, windows in open_now.items() for window in windows))
        # A day ends at some quarter of an hour of each job's zone.
        quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
        counts = kept.until_run(
            ("tabs", _digest(jobs), user.pk, quarter, paused),
            lambda: jobs.aggregate(
                all=Count("pk"), **{name: Count("pk", filter=condition(name, user)) for name, _title, _bad in _TABS}
            ),
        )
        tabs = [self.tab(title, counts[name], name, is_bad=is_bad) for name, title, is_bad in _TABS]
        return [self.tab(_("All"), counts["all"], ""), *tabs]


def _digest(jobs: QuerySet[Job]) -> str:
    """What tells one filter of the list from another."""
    try:
        return md5(str(jobs.query).encode(), usedforsecurity=False).hexdigest()
    except EmptyResultSet:
        return "no job"


_TABS = [
    ("failing", gettext_lazy("Failing"), True),
    ("flapping", gettext_lazy("Flapping"), True),
    ("paused", gettext_lazy("Paused"), False),
    ("disabled", gettext_lazy("Disabled"), False),
    ("ending", gettext_lazy("Ending"), False),
    ("mine", gettext_lazy("Mine"), False),
]
_COLUMN_TITLES = {
    "cron_expression": gettext_lazy("Cron expression"),
    "target_url": gettext_lazy("Target"),
    "pic_team": gettext_lazy("Team"),
    "end_date": gettext_lazy("End date"),
    "last_execution_at": gettext_lazy("Last run"),
}
# The list's columns by the names of the user's UI preferences.
_OPTIONAL_COLUMNS = {
    "cron_expression": "cron_expression",
    "target_url": "target_cell",
    "pic_team": "pic_team",
    "end_date": "ends",
    "last_execution_at": "last_execution",
}


@admin.register(Job)
class JobAdmin(JobVerbs, JobRuns, ProductAdmin):
    """The admin of jobs."""

    form = JobForm
    list_display = ("name_cell", "state", "recent", "last_outcome", "next_run", "schedule_cell", "run_button")
    purpose = gettext_lazy("A job calls a webhook or starts a GitHub Actions workflow on a schedule.")
    list_before_template = "console/job_tabs.html"
    list_display_links = ("name_cell",)
    list_filter = (
        AttentionFilter,
        LastOutcomeFilter,
        "pic_team",
        "category",
        TargetFilter,
    )
    linked_lookups = {
        "cron_expression": gettext_lazy("Schedule"),
        "calendar__id__exact": gettext_lazy("Business calendar"),
        "last_status__exact": gettext_lazy("Last outcome"),
        "created_by__id__exact": gettext_lazy("Owner"),
        "is_active__exact": gettext_lazy("Active"),
    }
    search_help_text = gettext_lazy("Name, URL, repository, workflow or team")
    list_select_related = ("pic_team", "category", "calendar")
    readonly_fields = ("next_run_at", "problem", "last_execution_at", "created_by", "created_at", "updated_at")
    actions: Any = actions.ALL
    # The tabs tell the number of all jobs.
    show_full_result_count = False
    change_form_before_template = "console/job_tools.html"
    change_form_after_template = "console/job_answer.html"

    class Media:
        js = ("console/job_form.js", "console/pickers.js")

    name_cell = columns.name
    state = columns.state
    schedule_cell = columns.schedule
    next_run = columns.next_run
    last_outcome = columns.last_outcome
    recent = columns.recent
    ends = columns.ends
    target_cell = columns.target
    last_execution = columns.last_execution
    run_button = columns.run_button

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """The fixed columns, and those that the user has chosen."""
        chosen = columns_of(require_login(request))
        optional = [column for name, column in _OPTIONAL_COLUMNS.items() if chosen.get(name)]
        return [*self.list_display[:-1], *optional, self.list_display[-1]]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Deletion comes last."""
        found: dict[str, Any] = super().get_actions(request)
        if delete := found.pop("delete_selected", None):
            found["delete_selected"] = delete
        return found

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any) -> Any:
        pages = ExactPaginator(queryset, per_page)
        pages.known = getattr(request, "known_count", None)
        return pages

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["name", *searched_columns(), "pic_team__name"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """The API's search: whoever may not read a URL cannot ask for its letters."""
        text, user = search_term.strip(), require_login(request)
        few = few_found(text, user) if text else None
        found = services.search(queryset, text, user) if few is None else queryset.filter(pk__in=few)
        return found, False

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        """The form's sections: one page for a new job, tabs with the values that Cronsched records for others."""
        if obj is None:
            return job_sections()
        sections = [*job_sections(), (_("Details"), {"fields": self.readonly_fields})]
        return [(title, {**options, "classes": ("tab",)}) for title, options in sections]

    def get_form(self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form class with a field for each target field without a column."""
        form = super().get_form(request, obj, change=change, **{**kwargs, "fields": form_fields()})
        return type(form.__name__, (form,), {**option_fields(), "acting": request.user})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        """The job; whoever may not change it sees its secrets masked."""
        job: Job | None = super().get_object(request, object_id, from_field)
        return services.masked_for(job, require_login(request)) if job else None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobChangeList

    def get_urls(self) -> list[Any]:
        site = self.admin_site
        pages = [
            path("preview/", site.admin_view(job_form.preview), name="jobs_job_preview"),
            path("test-run/", site.admin_view(self.test_run), name="jobs_job_test_run"),
            path("preview-request/", site.admin_view(self.preview_request), name="jobs_job_preview_request"),
            path("check-workflow/", site.admin_view(self.check_workflow), name="jobs_job_check_workflow"),
            path("pick/", site.admin_view(self.pick), name="jobs_job_pick"),
            path("undo/", site.admin_view(partial(undo.undo, self)), name="jobs_job_undo"),
            path("<uuid:job_id>/live/", site.admin_view(conditional_page(self.live)), name="jobs_job_live"),
            path("<uuid:job_id>/", site.admin_view(self.view), name="jobs_job_view"),
        ]
        return [*pages, *self.verb_urls(), *self.run_urls(), *super().get_urls()]

    def pick(self, request: HttpRequest) -> HttpResponseBase:
        """What GitHub offers for the form: repositories, workflows, branches and inputs."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return JsonResponse(job_form.picked(request.GET, by=require_login(request)))
        except DomainError as exc:
            return JsonResponse({"problem": exc.spoken}, status=exc.status)

    def view(self, request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        """The page of a job for reading."""
        context = self._shown(request, job_id)
        title, crumbs = context["job"].name, self.crumbs()
        whole = {**self.admin_site.each_context(request), "title": title, "crumbs": crumbs, **context}
        return TemplateResponse(request, "console/job.html", whole)

    def live(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The part of the page that renews itself."""
        return render(request, "console/job_live.html", self._shown(request, job_id))

    def _shown(self, request: HttpRequest, job_id: UUID) -> dict[str, Any]:
        try:
            job = services.get_job(job_id)
        except DomainError as exc:
            raise Http404 from exc
        user = require_login(request)
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job_page.context(services.masked_for(job, user), user)

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    def _may_touch(self, request: HttpRequest, obj: Job | None) -> bool:
        user: Any = request.user
        return obj is None or services.may_touch(obj, user)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?duplicate=ID` starts the form with a copy of that job, which is inactive."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        if original := initial.pop("duplicate", ""):
            try:
                return job_form.copy_of(services.get_job(original), reader=require_login(request))
            except DomainError as exc:
                self.message_user(request, exc.spoken, messages.ERROR)
        is_first = bool(initial.pop("first", ""))
        return {**job_form.first_values(require_login(request), is_first=is_first), **initial}

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """An error at saving, such as a name that was taken in the meantime, is shown on the form."""
        context = {**(extra_context or {}), **job_form.form_context()}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        user: Any = request.user
        if change:
            saved = services.update_job(obj.pk, form.payload(), by=user)
        else:
            saved = services.create_job(form.payload(), by=user)
        obj.__dict__.update(saved.__dict__)
        for warning in warnings_of(saved):
            self.message_user(request, said(warning), messages.WARNING)

    def response_post_save_add(self, request: HttpRequest, obj: Job) -> HttpResponseRedirect:
        """A saved job is shown."""
        return HttpResponseRedirect(reverse("admin:jobs_job_view", args=[obj.pk]))

    response_post_save_change = response_post_save_add

    def delete_model(self, request: HttpRequest, obj: Job) -> None:
        services.remove_jobs([obj], by=request.user)  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        services.remove_jobs(queryset, by=request.user)  # type: ignore[arg-type]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The jobs to delete and the number of their executions, instead of a list of thousands of rows."""
        jobs = list(objs)
        counts = dict(Execution.objects.filter(job__in=jobs).order_by().values_list("job").annotate(count=Count("id")))
        lines = [f"{job.name}: {counts.get(job.pk, 0):,} {_('executions')}" for job in jobs]
        refused = set() if all(self.has_delete_permission(request, job) for job in jobs) else {Job._meta.verbose_name}
        return lines, {_("jobs"): len(jobs), _("executions"): sum(counts.values())}, refused, []

    def test_run(self, request: HttpRequest) -> HttpResponseBase:
        """Call the form's target once without saving; answers like the API's test run."""

        def start() -> HttpResponseBase:
            run = try_target(job_form.test_body(request.POST), by=require_login(request))
            return parking.json_answer(request, run, job_form.tried)

        return self._try(request, start)

    def preview_request(self, request: HttpRequest) -> HttpResponseBase:
        """The request of the form's next fire time, without sending it."""
        by = require_login(request)
        return self._try(request, lambda: JsonResponse(job_form.previewed(request.POST, by=by)))

    def check_workflow(self, request: HttpRequest) -> HttpResponseBase:
        """Compare the form's metadata with the inputs of its workflow file, without saving."""
        by = require_login(request)
        return self._try(request, lambda: JsonResponse(job_form.checked_workflow(request.POST, by=by)))

    def _try(self, request: HttpRequest, work: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return work()
        except (DomainError, ValueError) as exc:
            message = _in_form(exc) if isinstance(exc, DomainError) else _("The metadata is not valid JSON.")
            return JsonResponse({"ok": False, "message": message})


def _in_form(error: DomainError) -> str:
    """Why a form was refused, in its words: without a target, the message names fields of the API."""
    if error.error == "Missing target configuration":
        return " ".join(said(text) for texts in error.fields.values() for text in texts)
    return error.spoken


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("number",)
