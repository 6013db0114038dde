"""The verbs of one job in the admin: enable, pause, skip, acknowledge, run."""

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

from accounts.permissions import require_login
from console.pages import job_form, run_with, windows
from core.api.errors import DomainError
from executions.services import trigger_now
from jobs import services
from jobs.models import Job
from notifications.alert_rules import acknowledge
from windows.services import pause


class JobVerbs:
    """A part of the admin of jobs. Each verb answers a POST by redirecting to the page of its button."""

    # What the admin provides.
    admin_site: Any
    opts: Any
    has_change_permission: Any
    message_user: Any

    def verb_urls(self) -> list[Any]:
        """The addresses of the verbs."""
        site = self.admin_site
        return [
            path("<path:job_id>/enable/", site.admin_view(self.enable), name="jobs_job_enable"),
            path("<path:job_id>/disable/", site.admin_view(self.disable), name="jobs_job_disable"),
            path("<path:job_id>/acknowledge/", site.admin_view(self.acknowledge), name="jobs_job_acknowledge"),
            path("<path:job_id>/pause/", site.admin_view(self.pause), name="jobs_job_pause"),
            path("<path:job_id>/skip/", site.admin_view(self.skip_next), name="jobs_job_skip"),
            path("<path:job_id>/unskip/", site.admin_view(self.run_next), name="jobs_job_unskip"),
            path("<path:job_id>/run-with/", site.admin_view(self.run_with), name="jobs_job_run_with"),
            path("<path:job_id>/run/", site.admin_view(self.run), name="jobs_job_run"),
        ]

    def crumbs(self) -> list[dict[str, str]]:
        """The way from the list to a page of one job."""
        return [{"title": capfirst(self.opts.verbose_name_plural), "url": reverse("admin:jobs_job_changelist")}]

    def enable(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Enable one job, from the list or its page."""
        return self._set_active(request, job_id, True, _("%(name)s is enabled."))

    def disable(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Disable one job, from the list or its page."""
        return self._set_active(request, job_id, False, _("%(name)s is disabled."))

    def _set_active(self, request: HttpRequest, job_id: str, active: bool, words: str) -> HttpResponseBase:
        def act(job: Job, user: Any) -> str:
            # The page may be outdated, so the button's own state decides, not the stored one.
            if job.is_active != active:
                services.set_active(job, active, by=user)
            return words % {"name": job.name}

        return self._act(request, job_id, act)

    def pause(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Pause one job until a time that was chosen by one click."""

        def act(job: Job, user: Any) -> str:
            end = windows.until(request.POST.get("for", ""), timezone.now())
            pause([job], end, "", by=user)
            local = timezone.localtime(end)
            return _("%(name)s is paused until %(time)s.") % {"name": job.name, "time": f"{local:%Y-%m-%d %H:%M}"}

        return self._act(request, job_id, act)

    def skip_next(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Skip the next run of one job."""

        def act(job: Job, user: Any) -> str:
            services.skip_next_run(job, by=user, expected=request.POST.get("at", ""))
            return _("The next run of %(name)s is skipped.") % {"name": job.name}

        return self._act(request, job_id, act)

    def run_next(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Take back that the next run of one job is skipped."""

        def act(job: Job, user: Any) -> str:
            services.run_next_after_all(job, by=user)
            return _("The next run of %(name)s runs after all.") % {"name": job.name}

        return self._act(request, job_id, act)

    def acknowledge(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Acknowledge a failing job: no reminders until it has recovered."""

        def act(job: Job, user: Any) -> str:
            acknowledge(job, by=user)
            return _("No more reminders of %(name)s until it recovers.") % {"name": job.name}

        return self._act(request, job_id, act)

    def run(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Run one job now and open the execution."""
        if request.method != "POST":
            return HttpResponse(status=405)
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
        """Run one job now with other metadata, and open the execution."""
        try:
            job = services.get_job(job_id)
        except DomainError as exc:
            raise Http404(exc.spoken) from exc
        if not self.has_change_permission(request, job):
            raise PermissionDenied
        remembered = run_with.remembered(job)
        if request.method == "POST":
            form, execution_id = run_with.run(job, request.POST, by=require_login(request))
            if execution_id:
                return HttpResponseRedirect(reverse("admin:executions_execution_change", args=[execution_id]))
        else:
            form = run_with.first_form(job, remembered, request.GET.get("from"))
        crumbs = [*self.crumbs(), {"title": job.name, "url": reverse("admin:jobs_job_view", args=[job.pk])}]
        context = {**self.admin_site.each_context(request), "title": _("Run with other metadata"), "crumbs": crumbs}
        shown = {**context, "job": job, "form": form, "remembered": remembered}
        return TemplateResponse(request, "console/run_with.html", shown)

    def _act(self, request: HttpRequest, job_id: str, act: Any) -> HttpResponseBase:
        """Process one job by POST, report the result, and redirect to the page of the button."""
        if request.method != "POST":
            return HttpResponse(status=405)
        back = job_form.way_back(request, reverse("admin:jobs_job_changelist"))
        try:
            job = services.get_job(job_id)
            if not self.has_change_permission(request, job):
                raise PermissionDenied
            self.message_user(request, act(job, request.user), messages.SUCCESS)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        return HttpResponseRedirect(back)
