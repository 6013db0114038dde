"""Bulk actions on jobs. Each job is processed separately: a refused job is reported, and the others are processed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as delete_selected_after_question
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.permissions import require_login
from audit import events
from audit.events import Event
from console.admin import undo
from console.admin.forms import ExtendForm, MoveForm, PauseForm, RunNowForm
from console.pages import windows
from console.templatetags.console import minute
from core.admin import act_button
from core.api.errors import DomainError
from executions.services import trigger_now
from jobs import services
from jobs.models import Job
from jobs.transfer.exporting import RELATED, write_csv, write_json
from windows.cover import OF_SCOPE, Cover
from windows.services import pause as pause_jobs

_TOLD = 10


def _each(
    model_admin: Any,
    request: HttpRequest,
    jobs: QuerySet[Job],
    act: Callable[[Job, Any], object],
    done: Callable[[int], str],
    former: undo.Former | None = None,
) -> None:
    """Call a function for each job; one message says how many succeeded, with a button that takes it back if `former`
    tells the values from before, and another which were refused and why.
    """
    count, refused, before = 0, [], {}
    for job in jobs.select_related("pic_team", "category", "created_by"):
        try:
            values = former(job) if former else {}
            act(job, request.user)
            before[job.pk] = values
            count += 1
        except DomainError as exc:
            refused.append(f"{job.name}: {exc.spoken}")
    button = undo.remember(request, before) if former else ""
    said = format_html("{} {}", done(count), button) if button else done(count)
    model_admin.message_user(request, said, messages.SUCCESS if count else messages.WARNING)
    if refused:
        words = ngettext("%(count)d job was refused.", "%(count)d jobs were refused.", len(refused))
        told = " ".join(refused[:_TOLD]) + (" …" if len(refused) > _TOLD else "")
        model_admin.message_user(request, f"{words % {'count': len(refused)}} {told}", messages.ERROR)


@admin.action(description=gettext_lazy("Run now …"), permissions=["change"])
def run_now(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    """Run the selected jobs once, including disabled ones."""
    inside = _some_are_inside(queryset)
    if "apply" not in request.POST:
        form = RunNowForm() if inside else forms.Form()
        return _ask(model_admin, request, queryset, form, "run_now", _("Run now"))
    force = {"force": True} if inside and request.POST.get("force") else {}

    def done(count: int) -> str:
        return ngettext("%(count)d run started.", "%(count)d runs started.", count) % {"count": count}

    _each(model_admin, request, queryset, lambda job, user: trigger_now(job.pk, force, by=user), done)
    return HttpResponseRedirect(
        f"{reverse('admin:executions_execution_changelist')}?when=hour&trigger_type__exact=manual"
    )


def _some_are_inside(jobs: QuerySet[Job]) -> bool:
    """Whether a window keeps one of these jobs from firing now."""
    cover, now = Cover.now(), timezone.now()
    return bool(cover) and any(
        cover.inside(job, now) for job in jobs.select_related(None).only(*OF_SCOPE).iterator(500)
    )


@admin.action(description=gettext_lazy("Enable"), permissions=["change"])
def enable(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> None:
    def done(count: int) -> str:
        return ngettext("%(count)d job is enabled.", "%(count)d jobs are enabled.", count) % {"count": count}

    _each(model_admin, request, queryset.filter(is_active=False), _set_active(True), done, _activity)


@admin.action(description=gettext_lazy("Disable …"), permissions=["change"])
def disable(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    """Disable the selected jobs after a confirmation: enabling them all again would also enable those that were off
    before.
    """
    if "apply" not in request.POST:
        return _ask(model_admin, request, queryset.filter(is_active=True), forms.Form(), "disable", _("Disable"))

    def done(count: int) -> str:
        return ngettext("%(count)d job is disabled.", "%(count)d jobs are disabled.", count) % {"count": count}

    _each(model_admin, request, queryset.filter(is_active=True), _set_active(False), done, _activity)
    return None


@admin.action(description=gettext_lazy("Delete …"), permissions=["delete"])
def delete_selected(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> Any:
    """Django's question about the jobs that the user may delete; the others stay."""
    user = require_login(request)
    mine = queryset if user.is_admin else queryset.filter(created_by=user)
    others = queryset.count() - mine.count()
    if others:
        words = ngettext("%(count)d job of somebody else stays.", "%(count)d jobs of somebody else stay.", others)
        model_admin.message_user(request, words % {"count": others}, messages.WARNING)
    return delete_selected_after_question(model_admin, request, mine) if mine.exists() else None


def _activity(job: Job) -> dict[str, Any]:
    return {"is_active": job.is_active}


def _set_active(active: bool) -> Callable[[Job, Any], object]:
    def act(job: Job, user: Any) -> None:
        services.require_owner(job, user)
        services.set_active(job, active, by=user)

    return act


@admin.action(description=gettext_lazy("Pause …"), permissions=["change"])
def pause(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    """Pause the selected jobs by one window; when it ends, each is exactly as it was."""
    form = _asked(PauseForm, request)
    if not form.is_valid():
        return _ask(model_admin, request, queryset, form, "pause", _("Pause"))
    jobs, end = list(queryset), windows.until(form.cleaned_data["until"], timezone.now())
    try:
        window = pause_jobs(jobs, end, form.cleaned_data["reason"], by=require_login(request))
    except DomainError as exc:
        model_admin.message_user(request, exc.spoken, messages.ERROR)
        return None
    words = ngettext(
        "%(count)d job is paused until %(time)s.", "%(count)d jobs are paused until %(time)s.", len(jobs)
    ) % {"count": len(jobs), "time": minute(end)}
    resume = act_button(reverse("admin:windows_window_end", args=[window.pk]), _("Resume"))
    model_admin.message_user(request, format_html("{} {}", words, resume), messages.SUCCESS)
    return None


@admin.action(description=gettext_lazy("Extend the end date …"), permissions=["change"])
def extend(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    """Set a later end date; jobs that end later already stay as they are."""
    form = _asked(ExtendForm, request)
    if not form.is_valid():
        return _ask(model_admin, request, queryset, form, "extend", _("Extend the end date"))
    day = form.cleaned_data["end_date"]
    later = queryset.filter(end_date__gte=day).count()

    def done(count: int) -> str:
        words = ngettext(
            "End date of %(count)d job set to %(date)s.", "End date of %(count)d jobs set to %(date)s.", count
        ) % {"count": count, "date": day}
        stays = ngettext("%(count)d ends then or later and stays.", "%(count)d end then or later and stay.", later) % {
            "count": later
        }
        return f"{words} {stays}" if later else words

    body = {"end_date": day.isoformat()}
    earlier = queryset.filter(end_date__lt=day)

    def former(job: Job) -> dict[str, Any]:
        return {"end_date": job.end_date.isoformat()}

    _each(model_admin, request, earlier, lambda job, user: services.update_job(job.pk, body, by=user), done, former)
    return None


@admin.action(description=gettext_lazy("Change team or category …"), permissions=["change"])
def move(model_admin: Any, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
    form = _asked(MoveForm, request)
    if not form.is_valid() or not form.changes():
        return _ask(model_admin, request, queryset, form, "move", _("Change team or category"))
    body = form.changes()

    def done(count: int) -> str:
        return ngettext("%(count)d job is changed.", "%(count)d jobs are changed.", count) % {"count": count}

    def former(job: Job) -> dict[str, Any]:
        return {"pic_team": str(job.pic_team_id), "category": str(job.category_id)}

    _each(model_admin, request, queryset, lambda job, user: services.update_job(job.pk, body, by=user), done, former)
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
        "jobs": queryset.order_by("name")[:_TOLD],
        "crumbs": [{"title": _("Jobs"), "url": reverse("admin:jobs_job_changelist")}],
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


ALL = [run_now, enable, disable, pause, extend, move, export_csv, export_json, delete_selected]
