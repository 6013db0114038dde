"""Keeps users without a verified second factor out of the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from accounts.second_factor import devices


class SecondFactor:
    """Redirects users to the second-factor page until they have verified a code or, if it is required, set up a
    device.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(reverse("admin:index")) and self._is_lacking(request):
            return HttpResponseRedirect(f"{reverse('second_factor')}?next={request.path}")
        return self._get_response(request)

    def _is_lacking(self, request: HttpRequest) -> bool:
        user: Any = request.user
        if settings.SECOND_FACTOR == "off" or not user.is_authenticated or user.is_verified():
            return False
        if request.path == reverse("admin:logout"):
            return False
        return settings.SECOND_FACTOR == "required" or devices.has_one(user)
