"""The verbs of one job in the admin: enable, pause, skip, acknowledge."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.pages import job_form, windows
from console.situations import RUNS, situation
from console.templatetags.console import minute
from core.api.errors import DomainError
from executions.statistics import queries
from jobs import services
from jobs.models import Job
from notifications.acknowledgements import acknowledge
from windows.services import pause


class JobVerbs:
    """A part of the admin of jobs. Each verb answers a POST by redirecting to the page of its button."""

    # What the admin provides.
    admin_site: Any
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
            path("<path:job_id>/extend/", site.admin_view(self.extend), name="jobs_job_extend"),
            path("<path:job_id>/skip/", site.admin_view(self.skip_next), name="jobs_job_skip"),
            path("<path:job_id>/unskip/", site.admin_view(self.run_next), name="jobs_job_unskip"),
        ]

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
            end = windows.until(request.POST.get("for", ""), timezone.now(), job.shown_zone)
            pause([job], end, request.POST.get("reason", ""), by=user)
            return _("%(name)s is paused until %(time)s.") % {"name": job.name, "time": minute(end)}

        return self._act(request, job_id, act)

    def extend(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Move the end date of one job by three months or a year."""

        def act(job: Job, user: Any) -> str:
            months = 12 if request.POST.get("months") == "12" else 3
            changed = services.extend(job, months, by=user)
            return _("%(name)s runs until %(date)s.") % {"name": job.name, "date": f"{changed.end_date:%Y-%m-%d}"}

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
        """Acknowledge a failing or flapping job: no reminders until it has recovered."""

        def act(job: Job, user: Any) -> str:
            found = situation(queries.latest_runs([job.pk], RUNS)[job.pk], job)
            if not found.is_failing and not found.is_flapping:
                return _("%(name)s is well.") % {"name": job.name}
            acknowledge(job, by=user, is_flapping=found.is_flapping)
            return _("No more reminders of %(name)s until it recovers.") % {"name": job.name}

        return self._act(request, job_id, act)

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
