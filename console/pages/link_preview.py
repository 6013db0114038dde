"""What programs that preview links, such as Slack, see of an execution.

They have no login, so the execution's page copies a signed address of this page. Who is logged in and follows it gets
the execution's page.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from console.pages.execution import summary
from executions.models import Execution

_SALT = "console.link_preview"
_VALID = dt.timedelta(days=30)


def address(execution: Execution) -> str:
    """Where the title of an execution can be read without login, for 30 days after its start."""
    # Without a time, so that a page that renews itself stays the same.
    token = signing.Signer(salt=_SALT).sign_object(str(execution.pk))
    return f"{settings.PUBLIC_URL}{reverse('link_preview', args=[token])}"


@never_cache
@require_safe
def page(request: HttpRequest, token: str) -> HttpResponse:
    """Title, team and duration, with a link to the login; no text that came from a target, which may hold secrets. 404
    for what was not signed here, is too old or is gone.
    """
    try:
        pk = signing.Signer(salt=_SALT).unsign_object(token)
    except signing.BadSignature:
        raise Http404(_("This link is not valid, or is too old.")) from None
    inside = reverse("admin:executions_execution_change", args=[pk])
    if request.user.is_authenticated:
        return HttpResponseRedirect(inside)
    kept = Execution.objects.of_kept_jobs().select_related("job__pic_team", "job__category")
    execution = kept.filter(pk=pk, started_at__gte=timezone.now() - _VALID).first()
    if execution is None:
        raise Http404(_("This link is not valid, or is too old."))
    context = {"execution": execution, "title": summary(execution), "inside": inside}
    answer = render(request, "console/link_preview.html", context)
    answer["Referrer-Policy"] = "same-origin"
    return answer
