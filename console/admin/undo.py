"""Undo of the last bulk action on jobs: those that nobody has changed since get their former values back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.permissions import require_login
from core.admin import act_button
from core.api.errors import DomainError
from jobs import services
from jobs.models import Job

_KEY = "jobs_before_the_last_bulk_action"
# The session holds the values; it stays small.
MOST = 1_000
# The columns of a job that a bulk action is about to change, as values that JSON can hold.
Former = Callable[[Job], dict[str, Any]]


def remember(request: HttpRequest, before: Mapping[UUID, dict[str, Any]]) -> str:
    """Keep the values from before a bulk action in the session. Returns a button that brings them back, or why
    there is none; '' if nothing was changed.
    """
    if len(before) > MOST:
        return _("There is no undo for more than %(most)s jobs.") % {"most": f"{MOST:,}"}
    if not before:
        return ""
    changed = dict(Job.objects.filter(pk__in=before).values_list("pk", "updated_at"))
    request.session[_KEY] = [[str(pk), before[pk], at.isoformat()] for pk, at in changed.items()]
    return act_button(reverse("admin:jobs_job_undo"), _("Undo"))


def undo(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Bring the remembered values back."""
    if request.method != "POST":
        return HttpResponse(status=405)
    user, back, stay = require_login(request), 0, 0
    for pk, values, changed_at in request.session.pop(_KEY, []):
        try:
            services.restore(pk, values, dt.datetime.fromisoformat(changed_at), by=user)
            back += 1
        except DomainError:
            stay += 1
    words = ngettext("%(count)d job is as before.", "%(count)d jobs are as before.", back) % {"count": back}
    if stay:
        stays = ngettext("%(count)d was changed since and stays.", "%(count)d were changed since and stay.", stay)
        words += " " + stays % {"count": stay}
    model_admin.message_user(request, words, messages.SUCCESS if back else messages.WARNING)
    return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
