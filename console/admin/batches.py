"""Batches of executions in the admin: the list, and the page of one with its progress."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import conditional_page, require_POST
from unfold.paginator import InfinitePaginator

from accounts.models import User
from accounts.permissions import require_login
from core.admin import ReadOnlyAdmin
from core.api.errors import DomainError
from core.sentences import said
from executions.batches import progress as batches
from executions.models import Batch, Execution
from jobs.models import Job


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Runs that users asked for: executions run again, gaps that are filled, single runs."""

    list_display = ("named", "by", "created_at", "paused_at", "cancelled_at")
    list_display_links = ("named",)
    search_fields = ("title",)
    list_select_related = ("by",)
    paginator = InfinitePaginator
    show_full_result_count = False
    purpose = gettext_lazy(
        "Select failed executions and run them again, fill the gaps of a job, or let it run at a time to come."
    )

    @admin.display(description=gettext_lazy("Title"), ordering="title")
    def named(self, batch: Batch) -> str:
        return said(batch.title)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/live/", view(conditional_page(self.live)), name="executions_batch_live"),
            *(
                path(f"<uuid:pk>/{name}/", view(require_POST(partial(self.act, verb))), name=f"executions_batch_{name}")
                for name, verb in _VERBS.items()
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one batch."""
        batch = self.get_object(request, object_id)
        if batch is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return missing
        crumbs = [
            {"title": capfirst(self.opts.verbose_name_plural), "url": reverse("admin:executions_batch_changelist")}
        ]
        context = {**self.admin_site.each_context(request), "title": said(batch.title), "crumbs": crumbs}
        return TemplateResponse(request, "console/batch.html", {**context, **self._shown(request, batch)})

    def live(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The part of the page that renews itself until the batch has ended."""
        shown = self._shown(request, get_object_or_404(Batch, pk=pk))
        answer = render(request, "console/batch_live.html", shown)
        if not shown["is_open"]:
            answer["X-Renew"] = "never"
        return answer

    def _shown(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        user = require_login(request)
        progress = batches.progress(batch)
        runs = list(batch.runs.all())
        jobs = Job.objects.in_bulk({run.job_id for run in runs})
        executions = Execution.objects.in_bulk({run.execution_id for run in runs if run.execution_id})
        rows = [
            {"run": run, "job": jobs.get(run.job_id), "execution": executions.get(run.execution_id)} for run in runs
        ]
        return {
            "batch": batch,
            "progress": progress,
            "rows": rows,
            "is_open": bool(progress.left or progress.open),
            "is_several": len(runs) > 1,
            "may_touch": bool(progress.left) and batches.may_touch_batch(batch, user),
        }

    def act(self, verb: Callable[..., object], request: HttpRequest, pk: Any) -> HttpResponseBase:
        """Cancel, pause or resume the runs that are left."""
        try:
            batch = Batch.objects.get(pk=pk)
        except Batch.DoesNotExist as exc:
            raise Http404 from exc
        try:
            self.message_user(request, verb(batch, require_login(request)), messages.SUCCESS)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:executions_batch_change", args=[pk]))


def _cancel(batch: Batch, by: User) -> str:
    left = batches.cancel(batch, by=by)
    words = ngettext("%(count)d run is not started.", "%(count)d runs are not started.", left)
    return words % {"count": left}


def _pause(batch: Batch, by: User) -> str:
    batches.pause(batch, by=by)
    return _("No further run is started until you resume.")


def _resume(batch: Batch, by: User) -> str:
    batches.resume(batch, by=by)
    return _("The runs that are left are started.")


_VERBS = {"cancel": _cancel, "pause": _pause, "resume": _resume}
