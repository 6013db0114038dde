"""The admin site, and its pages that belong to no model."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_POST
from unfold.sites import UnfoldAdminSite

from accounts.auth.login_form import LoginForm
from accounts.permissions import require_login
from audit import events
from audit.events import Event
from console.pages import account, agenda, calendar, calendar_day, calendar_week, feed, inbox, palette, views
from console.pages.calendar import Filters
from console.pages.dashboard import dashboard
from console.pages.explain import facts_of
from console.pages.palette import keys
from console.pages.windows import open_windows
from console.templatetags.console import moment as shown_moment
from core.api.errors import DomainError
from core.sentences import said
from executions.targets.github import api as github_api
from jobs.models import today
from jobs.services import get_job
from notifications.channels import slack as slack_channel
from notifications.channels.failure import SendingFailed
from scheduler.explain import explain, read_moment
from settings_app.models import GitHubCredential, SlackSettings
from settings_app.services import choose_dashboard_scope
from taxonomy.models import Category, PicTeam


class CronschedAdminSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold has no types
    """Django's admin with a dashboard, a calendar, and an import page."""

    login_form = LoginForm

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """The theme's colours are in a style sheet, because the Content-Security-Policy allows no inline style."""
        context = {**super().each_context(request), "colors": None, "single_sign_on": bool(settings.OIDC_RP_CLIENT_ID)}
        if context["has_permission"]:
            context["palette_url"] = reverse("admin:palette")
            context["palette_keys"] = json.dumps(keys())
            context["unread"] = inbox.unread(request.user)
            context |= open_windows(require_login(request))
        return context

    def get_urls(self) -> list[Any]:
        from console.pages.import_jobs import ImportView
        from console.pages.import_schedules import ImportSchedulesView

        pages = [
            path("dashboard/", self.admin_view(conditional_page(self.live)), name="dashboard_live"),
            path("scope/", self.admin_view(require_POST(self.choose_scope)), name="dashboard_scope"),
            path("palette/", self.admin_view(palette.find), name="palette"),
            path("inbox/", self.admin_view(self.inbox), name="inbox"),
            path("account/", self.admin_view(self.account), name="my_account"),
            path("views/", self.admin_view(views.save), name="save_view"),
            path("views/<int:pk>/delete/", self.admin_view(views.delete), name="delete_view"),
            path("columns/", self.admin_view(views.choose_columns), name="choose_columns"),
            path("calendar/", self.admin_view(self.calendar), name="calendar"),
            path("credentials/<uuid:pk>/check/", self.admin_view(self.check_credential), name="credential_check"),
            path("slack-test/", self.admin_view(self.test_slack), name="slack_test"),
            path("import/", self.admin_view(ImportView.as_view(site=self)), name="import_jobs"),
            path("import/schedules/", self.admin_view(ImportSchedulesView.as_view(site=self)), name="import_schedules"),
            path("jobs/job/<path:job_id>/explain/", self.admin_view(self.explain), name="jobs_job_explain"),
        ]
        return [*pages, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The dashboard."""
        context = {"title": _("Dashboard"), "board": dashboard(require_login(request)), **(extra_context or {})}
        answer: TemplateResponse = super().index(request, context)
        return answer

    def live(self, request: HttpRequest) -> HttpResponse:
        """The part of the dashboard that renews itself."""
        return render(request, "console/board.html", {"board": dashboard(require_login(request))})

    def choose_scope(self, request: HttpRequest) -> HttpResponseBase:
        """Remember whose jobs the dashboard shows."""
        choose_dashboard_scope(require_login(request), request.POST.get("scope", "all"))
        return HttpResponseRedirect(reverse("admin:index"))

    def inbox(self, request: HttpRequest) -> HttpResponseBase:
        """The user's own notifications."""
        return inbox.page(request, {**self.each_context(request), "title": _("Notifications")})

    def account(self, request: HttpRequest) -> HttpResponseBase:
        """The user's own account."""
        return account.page(request, {**self.each_context(request), "title": _("My account")})

    def calendar(self, request: HttpRequest) -> HttpResponseBase:
        """The calendar of a day or a week, or as a list, which is the default on phones."""
        filters = Filters(request.GET.get("team", ""), request.GET.get("category", ""))
        date = calendar.read_day(request.GET.get("date", ""))
        views = {"day": calendar_day.day, "week": calendar_week.week, "agenda": agenda.agenda}
        default = "agenda" if "Mobi" in request.headers.get("User-Agent", "") else "day"
        view = request.GET.get("view", default)
        view = view if view in views else default
        span = agenda.read_span(date, request.GET.get("at", ""), request.GET.get("until", ""))
        teams = list(PicTeam.objects.by_name())
        chosen = next((team for team in teams if team.slug == filters.team), None)
        context = {
            **self.each_context(request),
            "title": _("Calendar"),
            "view": view,
            "date": date,
            "today": today(),
            "shown": views[view](date, filters),
            "panel": agenda.panel(span, filters) if span else None,
            "filters": filters,
            "teams": teams,
            "feed": feed.address("team", chosen.pk, require_login(request)) if chosen else "",
            "categories": Category.objects.by_name(),
        }
        return TemplateResponse(request, "console/calendar.html", context)

    def test_slack(self, request: HttpRequest) -> HttpResponseBase:
        """Post a test message to the stored webhook and show Slack's answer."""
        if request.method != "POST":
            return HttpResponse(status=405)
        if not request.user.has_perm("settings_app.change_slacksettings"):
            raise PermissionDenied
        slack = SlackSettings.current()
        try:
            answer = slack_channel.post(slack, _("A test message from Cronsched."))
            messages.success(request, _("Slack answered: %(answer)s") % {"answer": answer})
        except SendingFailed as exc:
            messages.error(request, said(exc))
        return HttpResponseRedirect(reverse("admin:settings_app_slacksettings_change", args=[slack.pk]))

    def check_credential(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """Ask GitHub for the access of a stored credential."""
        if request.method != "POST":
            return HttpResponse(status=405)
        if not request.user.has_perm("settings_app.change_githubcredential"):
            raise PermissionDenied
        credential = get_object_or_404(GitHubCredential, pk=pk)
        events.note(Event.CREDENTIAL_CHECKED, credential.name, about=pk)
        try:
            found = github_api.check(credential)
            reached = ", ".join(found["repositories"][:20]) or "—"
            messages.success(request, _("It can read: %(names)s") % {"names": reached})
            able = ", ".join(found["can_dispatch"][:20]) or "—"
            messages.info(request, _("It may write to: %(names)s") % {"names": able})
            messages.info(request, _("Requests that its rate limit leaves: %(limit)s") % {"limit": found["limit"]})
            if found["scopes"]:
                messages.info(request, _("Its scopes: %(names)s") % {"names": found["scopes"]})
            credential.refresh_from_db(fields=["expires_at"])
            if credential.expires_at:
                messages.info(request, _("It ends at %(time)s") % {"time": shown_moment(credential.expires_at)})
        except github_api.NoToken as exc:
            messages.error(request, said(exc))
        return HttpResponseRedirect(reverse("admin:settings_app_githubcredential_change", args=[pk]))

    def explain(self, request: HttpRequest, job_id: str) -> HttpResponseBase:
        """Explain why a job did or did not run at a given time."""
        context: dict[str, Any] = {
            **self.each_context(request),
            "title": _("Why did it run, or not?"),
            "at": request.GET.get("at", ""),
        }
        try:
            context["job"] = get_job(job_id)
            zone = context["job"].shown_zone
            context["zone"] = str(zone)
            if context["at"]:
                context["explanation"] = explain(context["job"], read_moment(context["at"], zone))
                context["facts"] = facts_of(context["explanation"], zone)
        except DomainError as exc:
            context["error"] = exc.spoken
        return TemplateResponse(request, "admin/jobs/job/explain.html", context)
