"""The admin's second factor: a time-based code (RFC 6238) after the password, by django-otp. One page sets it up, asks for it and removes it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import django_otp
import qrcode
import qrcode.image.svg
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from accounts import second_factor
from accounts.permissions import require_login


class SecondFactor:
    """Lets nobody into the admin whose second factor is still to be shown, or, where it is required, to be set up."""

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
        return settings.SECOND_FACTOR == "required" or second_factor.has_one(user)


@never_cache
def page(request: HttpRequest) -> HttpResponseBase:
    """Asks for the code where there is a second factor, else sets one up; who has shown it may remove it."""
    user: Any = request.user
    if not user.is_authenticated or not user.is_staff:
        return HttpResponseRedirect(f"{reverse('admin:login')}?next={request.path}")
    if not second_factor.has_one(user):
        return _set_up(request)
    if request.method != "POST":
        return _shown(request)
    device = second_factor.shown_by(user, _cleaned(request.POST.get("code", "")))
    if device is None:
        return _shown(request, error=_("That is not the code, or it was used already. Wait for the next one."))
    django_otp.login(request, device)
    if "remove" in request.POST:
        second_factor.remove(user)
        messages.success(request, _("Your second factor is removed."))
    return HttpResponseRedirect(_next(request))


def _set_up(request: HttpRequest) -> HttpResponse:
    user = require_login(request)
    device = second_factor.draft(user)
    if request.method != "POST":
        return _shown(request, device)
    codes = second_factor.confirm(device, _cleaned(request.POST.get("code", "")))
    if not codes:
        return _shown(request, device, error=_("That is not the code. Check the clock of your telephone."))
    django_otp.login(request, device)
    return _shown(request, codes=codes)


def _cleaned(code: str) -> str:
    return "".join(code.split()).lower()[:20]


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")


def _shown(
    request: HttpRequest, device: Any = None, *, error: str = "", codes: list[str] | None = None
) -> HttpResponse:
    user: Any = request.user
    context = {
        "error": error,
        "codes": codes or [],
        "next": _next(request),
        "verified": user.is_verified() or bool(codes),
        "picture": _picture(device.config_url) if device else "",
        "key": base64.b32encode(device.bin_key).decode().rstrip("=") if device else "",
    }
    return render(request, "console/second_factor.html", context, status=400 if error else 200)


def _picture(url: str) -> str:
    """A QR code as a data URL: the page's policy lets no picture of another kind in."""
    out = io.BytesIO()
    qrcode.make(url, image_factory=qrcode.image.svg.SvgPathFillImage).save(out)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
