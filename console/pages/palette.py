"""The palette (Ctrl-K): jobs, executions, teams, pages and actions that fit a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from string import hexdigits
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require_login
from console.pages.execution import summary
from console.situations import flapping_jobs
from executions.models import Execution, Status
from jobs import services
from jobs.models import Job
from taxonomy.models import PicTeam

_JOBS, _TEAMS, _RUNS = 8, 5, 5
# Executions are found by the beginning of their id, from this many hexadecimal digits on.
_DIGITS = 8


class Verb(NamedTuple):
    """What can be said before the name of a job, in English or in the user's language. `fields`: what is posted; None
    for an address that is a page. `fits` tells the jobs with which it may be done now, and is asked
    only for the verb that was said.
    """

    words: set[str]
    title: str
    address: str
    fields: dict[str, str] | None = None
    fits: Callable[[], Q] = Q


def _verbs() -> list[Verb]:
    return [
        Verb({"run", _("run")}, _("Run now: %(name)s"), "run", {}),
        Verb({"edit", _("edit")}, _("Edit: %(name)s"), "change"),
        Verb({"pause", _("pause")}, _("Pause until tomorrow: %(name)s"), "pause", {"for": "morning"}, _is_active),
        Verb({"skip", _("skip")}, _("Skip the next run: %(name)s"), "skip", {}, _has_next_run),
        Verb({"extend", _("extend")}, _("Extend by 3 months: %(name)s"), "extend", {"months": "3"}),
        Verb({"enable", _("enable")}, _("Enable: %(name)s"), "enable", {}, lambda: ~_is_active()),
        Verb({"disable", _("disable")}, _("Disable: %(name)s"), "disable", {}, _is_active),
        Verb({"acknowledge", _("acknowledge")}, _("Acknowledge: %(name)s"), "acknowledge", {}, _is_in_trouble),
    ]


def _is_active() -> Q:
    return Q(is_active=True)


def _has_next_run() -> Q:
    return Q(next_run_at__isnull=False)


def _is_in_trouble() -> Q:
    return Q(last_status=Status.FAILED) | Q(pk__in=flapping_jobs())


def find(request: HttpRequest) -> JsonResponse:
    """`{"items": [{"title", "kind", "url", "fields"}], "csrf"}` for `?q=`; `fields`: what an action posts, or null. A
    job that is called like an action comes first.
    """
    user = require_login(request)
    text = request.GET.get("q", "").strip()[:200]
    jobs = list(_named(text, user)[:_JOBS])
    items = [_item(job.name, _("Job"), reverse("admin:jobs_job_view", args=[job.pk])) for job in jobs]
    items = [*_executions(text), *items, *(_runs(job=jobs[0]) if len(jobs) == 1 else [])]
    word, _space, name = text.partition(" ")
    word, name = word.lower(), name.strip()
    if word in {"runs", _("runs")}:
        named = _named(name, user)[:1]
        items += _runs(job__in=list(named)) if name else _runs(job__deleted_at=None)
    elif verb := next((one for one in _verbs() if word in one.words), None):
        items += _acts(verb, name, user)
    items += [*_teams(text), *_pages(text, user, request)]
    return JsonResponse({"items": items, "csrf": get_token(request)})


def _item(title: str, kind: str, url: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
    return {"title": title, "kind": kind, "url": url, "fields": fields}


def _named(text: str, user: User) -> QuerySet[Job]:
    return services.search(Job.objects.order_by("name"), text, user)


def _acts(verb: Verb, text: str, user: User) -> Iterator[dict[str, Any]]:
    jobs = _named(text, user).filter(verb.fits())
    for job in (jobs if user.is_admin else jobs.filter(created_by=user))[:_JOBS]:
        if services.may_touch(job, user):
            url = reverse(f"admin:jobs_job_{verb.address}", args=[job.pk])
            yield _item(verb.title % {"name": job.name}, _("Job"), url, verb.fields)


def _runs(**which: Any) -> Iterator[dict[str, Any]]:
    """The latest executions."""
    for one in Execution.objects.filter(**which).newest_first().select_related("job")[:_RUNS]:
        yield _run(one)


def _executions(text: str) -> Iterator[dict[str, Any]]:
    """The executions whose id begins with the text."""
    digits = text.replace("-", "").lower()
    if not _DIGITS <= len(digits) <= 32 or set(digits) - set(hexdigits):
        return
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    for one in Execution.objects.select_related("job").filter(pk__range=(first, last), job__deleted_at=None)[:_RUNS]:
        yield _run(one)


def _run(execution: Execution) -> dict[str, Any]:
    url = reverse("admin:executions_execution_change", args=[execution.pk])
    return _item(summary(execution), _("Execution"), url)


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
