"""Pages behind signed links. They need no login, describe the action, and perform it only after confirmation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from core.api.errors import DomainError
from jobs import signed_links
from jobs.models import Job, today
from taxonomy.models import PicTeam


@never_cache
def extension(request: HttpRequest, token: str) -> HttpResponse:
    """`GET` shows the job and the choices; `POST` extends the job or hands it over."""
    try:
        job = signed_links.read(token)
        if request.method == "POST":
            return _page(request, None, done=_act(request, token))
    except DomainError as exc:
        return _page(request, None, status=400 if exc.error == "Invalid link" else 404, error=exc.spoken)
    return _page(request, job)


@never_cache
@csrf_exempt
def unsubscription(request: HttpRequest, token: str) -> HttpResponse:
    """`GET` asks for confirmation; `POST` removes the address from the job's mail, including one-click requests of
    mail programs (RFC 8058).
    """
    try:
        job, address = signed_links.read_address(token)
        if request.method == "POST":
            signed_links.unsubscribe(token)
            return _page(
                request, None, done=_("%(address)s hears no more of %(name)s.") % {"address": address, "name": job.name}
            )
    except DomainError as exc:
        return _page(request, None, status=400 if exc.error == "Invalid link" else 404, error=exc.spoken)
    return _page(request, None, address=address, name=job.name)


def _act(request: HttpRequest, token: str) -> str:
    team: Any = PicTeam.objects.filter(is_active=True, slug=request.POST.get("team", "")).first()
    if "extend" in request.POST or team is None:
        job = signed_links.extend(token)
        return _("%(name)s now ends on %(date)s.") % {"name": job.name, "date": job.end_date}
    job = signed_links.hand_over(token, team)
    return _("%(name)s now belongs to %(team)s.") % {"name": job.name, "team": team.name}


def _page(request: HttpRequest, job: Job | None, *, status: int = 200, **more: str) -> HttpResponse:
    context: dict[str, Any] = {"job": job, **more}
    if job is not None:
        context["until"] = max(job.end_date, today(job.shown_zone)) + signed_links.EXTENSION
        context["teams"] = PicTeam.objects.filter(is_active=True).exclude(pk=job.pic_team_id)
    answer = render(request, "console/extension.html", context, status=status)
    # The URL contains the token, which other sites must not see. (With `no-referrer`, browsers send `Origin: null`,
    # which the CSRF check refuses.)
    answer["Referrer-Policy"] = "same-origin"
    return answer
