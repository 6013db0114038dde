"""Keeps users without a verified second factor out of the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from accounts.second_factor import devices

# Views of the admin that show nothing of it.
_OPEN = frozenset({"login", "logout", "jsi18n"})


class SecondFactor:
    """Redirects users to the second-factor page until they have verified a code or, if it is required, set up a
    device.

    It asks for every view in the namespace `admin`: the view decides, not the text of the address, which holds what a
    proxy or a client sends as `SCRIPT_NAME`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponseBase | None:
        match: Any = request.resolver_match
        if "admin" not in match.namespaces or match.url_name in _OPEN:
            return None
        user: Any = request.user
        if not user.is_authenticated or user.is_verified() or not devices.is_needed_by(user):
            return None
        return HttpResponseRedirect(f"{reverse('second_factor')}?next={quote(request.path, safe='/')}")
