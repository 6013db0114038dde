"""Running one job in the admin: now, with other metadata, at a time to come, and for fire times of the past."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.permissions import require_login
from console.pages import fill, job_form, run_with
from core.api.errors import DomainError
from executions.batches import single_run
from executions.models import Execution
from executions.services import trigger_now
from jobs import services
from jobs.models import Job


class JobRuns:
    """A part of the admin of jobs."""

    # What the admin provides.
    admin_site: Any
    opts: Any
    has_change_permission: Any
    message_user: Any

    def run_urls(self) -> list[Any]:
        """The addresses of runs."""
        view = self.admin_site.admin_view
        return [
            path("<path:job_id>/run-with/", view(self.run_with), name="jobs_job_run_with"),
            path("<path:job_id>/run/", view(require_POST(self.run)), name="jobs_job_run"),
            path("<path:job_id>/fill/", view(self.fill), name="jobs_job_fill"),
            path(
                "<path:job_id>/single-runs/<int:run_id>/cancel/",
                view(require_POST(self.cancel_single_run)),
                name="jobs_job_cancel_single_run",
            ),
        ]

    def crumbs(self) -> list[dict[str, str]]:
        """The way from the list to a page of one job."""
        return [{"title": capfirst(self.opts.verbose_name_plural), "url": reverse("admin:jobs_job_changelist")}]

    def run(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Run one job now and open the execution."""
        try:
            job = services.get_job(job_id)
            if not self.has_change_permission(request, job):
                raise PermissionDenied
            force = {"force": True} if request.POST.get("force") else {}
            execution = trigger_now(job.pk, force, by=require_login(request))
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
            return HttpResponseRedirect(job_form.way_back(request, reverse("admin:jobs_job_changelist")))
        return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution.pk]))

    def run_with(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Run one job with other metadata, now or at a time to come."""
        job = self._job(request, job_id)
        remembered = run_with.remembered(job)
        if request.method == "POST":
            form, made = run_with.run(job, request.POST, by=require_login(request))
            if isinstance(made, Execution):
                return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[made.pk]))
            if made:
                at = f"{made.due_at.astimezone(job.shown_zone):%Y-%m-%d %H:%M %Z}"
                words = _("%(name)s runs at %(time)s.") % {"name": job.name, "time": at}
                self.message_user(request, words, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:jobs_job_view", args=[job.pk]))
        else:
            form = run_with.first_form(job, remembered, request.GET.get("from"))
        shown = {"form": form, "remembered": remembered}
        return self._page(request, job, "console/run_with.html", _("Run once"), shown)

    def fill(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Choose fire times of the past, look at them, and run the job for them."""
        job = self._job(request, job_id)
        look, batch = fill.answer(job, request.POST or None, by=require_login(request))
        if batch:
            return HttpResponseRedirect(reverse("admin:executions_batch_change", args=[batch.pk]))
        shown = {"form": look.form, "look": look, "found": look.found, "most": fill.MOST_SHOWN}
        return self._page(request, job, "console/fill.html", _("Fill gaps"), shown)

    def cancel_single_run(self, request: HttpRequest, job_id: str, run_id: int) -> HttpResponseBase:
        """Cancel a single run to come."""
        back = job_form.way_back(request, reverse("admin:jobs_job_changelist"))
        try:
            single_run.cancel(services.get_job(job_id), run_id, by=require_login(request))
            self.message_user(request, _("The single run is cancelled."), messages.SUCCESS)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        return HttpResponseRedirect(back)

    def _job(self, request: HttpRequest, job_id: str) -> Job:
        """The job, if the user may run it. Raises `Http404` and `PermissionDenied`."""
        try:
            job = services.get_job(job_id)
        except DomainError as exc:
            raise Http404(exc.spoken) from exc
        if not self.has_change_permission(request, job):
            raise PermissionDenied
        return job

    def _page(self, request: HttpRequest, job: Job, template: str, title: str, shown: dict[str, Any]) -> HttpResponse:
        crumbs = [*self.crumbs(), {"title": job.name, "url": reverse("admin:jobs_job_view", args=[job.pk])}]
        context = {**self.admin_site.each_context(request), "title": title, "crumbs": crumbs, "job": job, **shown}
        with timezone.override(job.shown_zone):
            return TemplateResponse(request, template, context).render()
