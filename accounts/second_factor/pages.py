"""The page that sets up, verifies and removes the second factor of the admin."""

from __future__ import annotations

import base64
import io
from typing import Any

import django_otp
import qrcode
import qrcode.image.svg
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from accounts.permissions import require_login
from accounts.second_factor import devices
from core.api.errors import TooManyRequests
from core.db.encryption import UndecryptableError
from core.runtime.request_context import address_of


@never_cache
def page(request: HttpRequest) -> HttpResponseBase:
    """The page of the second factor; with the reason if its key is lost."""
    try:
        return _page(request)
    except UndecryptableError as exc:
        return _shown(request, error=exc.message, status=exc.status)


def _page(request: HttpRequest) -> HttpResponseBase:
    """Ask for the code, or set up a device for a user without one; a verified user may remove the second factor."""
    user: Any = request.user
    if not user.is_authenticated or not user.is_staff:
        return HttpResponseRedirect(f"{reverse('admin:login')}?next={request.path}")
    if not devices.has_one(user):
        return _set_up(request)
    if request.method != "POST":
        return _shown(request)
    try:
        device = devices.shown_by(user, request.POST.get("code", ""), address_of(request))
    except TooManyRequests as exc:
        return _shown(request, error=_("Too many wrong codes. Wait, or use a backup code."), status=exc.status)
    if device is None:
        return _shown(request, error=_("That is not the code, or it was used already. Wait for the next one."))
    _verified(request, device)
    if "remove" in request.POST:
        devices.remove(user)
        messages.success(request, _("Your second factor is removed."))
    return HttpResponseRedirect(_next(request))


def _set_up(request: HttpRequest) -> HttpResponse:
    user = require_login(request)
    device = devices.draft(user)
    if request.method != "POST":
        return _shown(request, device)
    codes = devices.confirm(device, request.POST.get("code", ""))
    if not codes:
        return _shown(request, device, error=_("That is not the code. Check the clock of your telephone."))
    _verified(request, device)
    return _shown(request, codes=codes)


def _verified(request: HttpRequest, device: Any) -> None:
    """Note in the session that the user has shown a code. It gets another key: who knew the former has shown none."""
    django_otp.login(request, device)
    request.session.cycle_key()


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")


def _shown(
    request: HttpRequest, device: Any = None, *, error: str = "", codes: list[str] | None = None, status: int = 400
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
    return render(request, "accounts/second_factor.html", context, status=status if error else 200)


def _picture(url: str) -> str:
    """A QR code as a data URL, the only kind of image that the page's Content-Security-Policy allows."""
    out = io.BytesIO()
    qrcode.make(url, image_factory=qrcode.image.svg.SvgPathFillImage).save(out)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
