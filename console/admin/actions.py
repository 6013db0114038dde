"""Bulk actions on jobs. Each job is processed separately: a refused job is reported, and the others are processed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import require_login
from audit import events
from audit.events import Event
from console.admin.forms import ExtendForm, MoveForm
from core.api.errors import DomainError
from executions.services import trigger_now
from jobs import services
from jobs.models import Job
from jobs.transfer.exporting import RELATED, write_csv, write_json

_TOLD = 10


def _each(
    model_admin: Any, request: HttpRequest, jobs: QuerySet[Job], act: Callable[[Job, Any], object], done: str
) -> None:
    """Call a function for each job, and report how many succeeded."""
    count, refused = 0, 0
    for job in jobs.select_related("pic_team", "category", "created_by"):
        try:
            act(job, request.user)
            count += 1
        except DomainError as exc:
            refused += 1
            if refused <= _TOLD:
                model_admin.message_user(request, f"{job.name}: {exc.message}", messages.ERROR)
    model_admin.message_user(request, f"{count} {done}", messages.SUCCESS if count else messages.WARNING)


@admin.action(description=gettext_lazy("Run now"), permissions=["change"])
def run_now(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> None:
    """Run the selected jobs once, including inactive ones."""
    _each(
        model_admin,
        request,
        queryset,
        lambda job, user: trigger_now(job.pk, {}, by=user),
        _("started; see their executions."),
    )


@admin.action(description=gettext_lazy("Enable"), permissions=["change"])
def enable(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> None:
    _each(model_admin, request, queryset.filter(is_active=False), _set_active(True), _("enabled."))


@admin.action(description=gettext_lazy("Disable"), permissions=["change"])
def disable(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> None:
    _each(model_admin, request, queryset.filter(is_active=True), _set_active(False), _("disabled."))


def _set_active(active: bool) -> Callable[[Job, Any], object]:
    def act(job: Job, user: Any) -> None:
        services.require_owner(job, user)
        services.set_active(job, active, by=user)

    return act


@admin.action(description=gettext_lazy("Extend the end date …"), permissions=["change"])
def extend(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    form = _asked(ExtendForm, request)
    if not form.is_valid():
        return _ask(model_admin, request, queryset, form, "extend", _("Extend the end date"))
    body = {"end_date": form.cleaned_data["end_date"].isoformat()}
    _each(model_admin, request, queryset, lambda job, user: services.update_job(job.pk, body, by=user), _("extended."))
    return None


@admin.action(description=gettext_lazy("Change team or category …"), permissions=["change"])
def move(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    form = _asked(MoveForm, request)
    if not form.is_valid() or not form.changes():
        return _ask(model_admin, request, queryset, form, "move", _("Change team or category"))
    body = form.changes()
    _each(model_admin, request, queryset, lambda job, user: services.update_job(job.pk, body, by=user), _("changed."))
    return None


def _asked(form: Any, request: HttpRequest) -> Any:
    return form(request.POST) if "apply" in request.POST else form()


def _ask(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Job], form: forms.Form, action: str, title: str
) -> HttpResponse:
    """The intermediate page with the action's form."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.model._meta,
        "jobs": queryset[:_TOLD],
        "count": queryset.count(),
        "ids": request.POST.getlist("_selected_action"),
        "across": request.POST.get("select_across", "0"),
        "action": action,
        "form": form,
    }
    return TemplateResponse(request, "console/action.html", context)


@admin.action(description=gettext_lazy("Export as CSV"), permissions=["view"])
def export_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
    return _export(request, queryset, "csv", "text/csv; charset=utf-8", write_csv)


@admin.action(description=gettext_lazy("Export as JSON"), permissions=["view"])
def export_json(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
    return _export(request, queryset, "json", "application/json", write_json)


def _export(
    request: HttpRequest, jobs: QuerySet[Job], suffix: str, content_type: str, write: Callable[..., int]
) -> HttpResponse:
    answer = HttpResponse(content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="jobs.{suffix}"'
    count = write(jobs.select_related(*RELATED), answer, reader=require_login(request))
    events.note(Event.EXPORTED, "jobs", count=count, format=suffix)
    return answer


ALL = [run_now, enable, disable, extend, move, export_csv, export_json]
