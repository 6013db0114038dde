"""The admin under our name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path

from contract.errors import DomainError
from jobs.services import get_job
from scheduler.explain import explain, read_moment


class CronschedAdminSite(admin.AdminSite):
    """Django's admin; only accounts with the role admin enter."""

    site_header = "Cronsched"
    site_title = "Cronsched"
    index_title = "Scheduler"
    site_url = "/docs"

    def get_urls(self) -> list[Any]:
        pages = [path("jobs/job/<path:job_id>/explain/", self.admin_view(self.explain), name="jobs_job_explain")]
        return [*pages, *super().get_urls()]

    def explain(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Why a job did or did not run at a time."""
        context: dict[str, Any] = {
            **self.each_context(request),
            "title": "Why did it run, or not?",
            "at": request.GET.get("at", ""),
        }
        try:
            context["job"] = get_job(job_id)
            context["explanation"] = explain(context["job"], read_moment(context["at"])) if context["at"] else None
        except DomainError as exc:
            context["error"] = exc.message
        return TemplateResponse(request, "admin/jobs/job/explain.html", context)
