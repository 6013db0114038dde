"""The language of the admin: the one that the account has chosen on *My account*, else the browser's.

The session keeps the choice, so that a page asks the database for nothing; a login reads it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from settings_app.models import Preferences

_KEY = "language"
_PAGES = ("/admin/", "/second-factor/")


class AccountLanguage:
    """Answers requests of the admin in the language of the account."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = request.session.get(_KEY) if request.path_info.startswith(_PAGES) else None
        if not chosen:
            return self._get_response(request)
        with translation.override(chosen):
            response = self._get_response(request)
        response["Content-Language"] = chosen
        return response


def remember(request: HttpRequest, language: str) -> None:
    """Use this language for the rest of the session; empty: the browser's."""
    request.session[_KEY] = language


def connect() -> None:
    """Called once, when Django has loaded the apps."""
    user_logged_in.connect(_logged_in, dispatch_uid="language of the admin")


def _logged_in(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None:
        chosen = Preferences.objects.filter(user=user).values_list("language", flat=True).first()
        remember(request, chosen or "")
