"""The user's own notifications: the page behind the bell."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import ngettext

from accounts.permissions import require_login
from notifications import inbox
from notifications.models import EventType

_SHOWN = 50
# The bell says "99+" above this.
MOST_COUNTED = 100


def unread(user: Any) -> int:
    """The number of unread notifications but for successes, up to `MOST_COUNTED`."""
    found = inbox.visible(user, unread_only=True).exclude(type=EventType.SUCCESS)
    return len(found.order_by().values_list("pk")[:MOST_COUNTED])


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    """`GET` shows the newest notifications, with `?all=1` also those of successes, `POST` marks all of them as read."""
    user = require_login(request)
    if request.method == "POST":
        count = inbox.mark_all_read(by=user)
        messages.success(
            request,
            ngettext("%(count)d notification is read now.", "%(count)d notifications are read now.", count)
            % {"count": count},
        )
        return HttpResponseRedirect(reverse("admin:inbox"))
    is_whole = bool(request.GET.get("all"))
    events = inbox.visible(user) if is_whole else inbox.visible(user).exclude(type=EventType.SUCCESS)
    notifications = inbox.as_seen(user, events.newest_first()[:_SHOWN])
    shown = {"notifications": notifications, "is_whole": is_whole}
    shown["has_unread"] = any(one.read_at is None for one in notifications)
    return TemplateResponse(request, "console/inbox.html", {**context, **shown, "most": _SHOWN})
