"""The palette (Ctrl-K): jobs, executions, teams, pages and actions that fit a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require_login
from executions.models import Execution
from jobs import services
from jobs.models import Job
from taxonomy.models import PicTeam

_JOBS, _TEAMS = 8, 5


def find(request: HttpRequest) -> JsonResponse:
    """`{"items": [{"title", "kind", "url", "post"}], "csrf"}` for `?q=`; `post`: the address is an action."""
    user = require_login(request)
    text = request.GET.get("q", "").strip()[:200]
    items = [*_executions(text), *_jobs(text, user), *_teams(text), *_pages(text, user, request)]
    return JsonResponse({"items": items, "csrf": get_token(request)})


def _item(title: str, kind: str, url: str, *, post: bool = False) -> dict[str, Any]:
    return {"title": title, "kind": kind, "url": url, "post": post}


def _executions(text: str) -> Iterator[dict[str, Any]]:
    """The execution whose id was pasted."""
    try:
        pk = UUID(text)
    except ValueError:
        return
    for one in Execution.objects.select_related("job").filter(pk=pk, job__deleted_at=None):
        yield _item(one.job.name, _("Execution"), reverse("admin:executions_execution_change", args=[pk]))


def _jobs(text: str, user: User) -> Iterator[dict[str, Any]]:
    verb, _space, rest = text.partition(" ")
    verbs = {_("run"): ("run", _("Run now: %(name)s")), _("edit"): ("change", _("Edit: %(name)s"))}
    page, title = verbs.get(verb.lower(), ("view", "%(name)s"))
    wanted = rest.strip() if page != "view" else text
    for job in services.search(Job.objects.order_by("name"), wanted, user)[:_JOBS]:
        if page == "view" or services.may_touch(job, user):
            url = reverse(f"admin:jobs_job_{page}", args=[job.pk])
            yield _item(title % {"name": job.name}, _("Job"), url, post=page == "run")


def _teams(text: str) -> Iterator[dict[str, Any]]:
    if not text:
        return
    jobs = reverse("admin:jobs_job_changelist")
    for team in PicTeam.objects.filter(name__icontains=text).order_by("name")[:_TEAMS]:
        yield _item(team.name, _("Team"), f"{jobs}?pic_team__id__exact={team.pk}")
        failing = _("%(name)s: failing jobs") % {"name": team.name}
        yield _item(failing, _("Team"), f"{jobs}?pic_team__id__exact={team.pk}&attention=failing")


def _pages(text: str, user: User, request: HttpRequest) -> Iterator[dict[str, Any]]:
    jobs, executions = reverse("admin:jobs_job_changelist"), reverse("admin:executions_execution_changelist")
    pages = [
        (_("Dashboard"), reverse("admin:index")),
        (_("Jobs"), jobs),
        (_("Failing jobs"), f"{jobs}?attention=failing"),
        (_("My jobs"), f"{jobs}?attention=mine"),
        (_("Executions"), executions),
        (_("Failures of last night"), f"{executions}?status__exact=failed&when=night"),
        (_("Calendar"), reverse("admin:calendar")),
        (_("Notifications"), reverse("admin:inbox")),
        (_("My account"), reverse("admin:my_account")),
    ]
    if user.may_create_jobs:
        pages += [
            (_("Add a job"), reverse("admin:jobs_job_add")),
            (_("Import jobs"), reverse("admin:import_jobs")),
            (_("Import schedules"), reverse("admin:import_schedules")),
        ]
    if user.is_admin:
        pages.append((_("Add a user"), reverse("admin:accounts_user_add")))
    pages += [(title, url) for title, url in _sidebar(request) if url not in {url for _title, url in pages}]
    for title, url in pages:
        if text.lower() in title.lower():
            yield _item(title, _("Page"), url)


def _sidebar(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """The entries of the sidebar that the user may open."""
    sidebar: Any = settings.UNFOLD["SIDEBAR"]
    for group in sidebar["navigation"]:
        for item in group["items"]:
            if item.get("permission", lambda _request: True)(request):
                yield str(item["title"]), str(item["link"])


def keys() -> dict[str, str]:
    """The keys of lists and pages, and what they do."""
    return {
        "Ctrl K": _("Search and commands"),
        "j k": _("Next and previous row"),
        "x": _("Select the row"),
        "Enter": _("Open the row"),
        "e": _("Edit"),
        "r": _("Run now, or run again"),
        "p": _("Disable or enable"),
        "t": _("Today, in the calendar"),
        "← →": _("Earlier and later, older and newer"),
        "/": _("Search the list"),
        "?": _("These keys"),
    }
