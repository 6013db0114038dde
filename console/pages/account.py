"""My account: the user's own name, address, password, second factor, tokens, notifications and sessions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from accounts import services
from accounts.auth import api_tokens
from accounts.auth.open_sessions import open_sessions
from accounts.auth.web_sessions import digest
from accounts.models import ApiToken, User
from accounts.permissions import require_login
from accounts.second_factor import devices
from core.api.errors import DomainError
from settings_app import web_language
from settings_app.models import PREFERENCE_FLAGS, Preferences
from settings_app.services import preferences_of, update_preferences

# Nothing in the server reads it.
_HIDDEN_FLAGS = {"browser_notifications"}
_FLAGS = tuple(name for name in PREFERENCE_FLAGS if name not in _HIDDEN_FLAGS)


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponseBase:
    """`GET` shows the account, `POST` with `act` changes a part of it."""
    user = require_login(request)
    shown: dict[str, Any] = {}
    if request.method == "POST":
        try:
            shown = _ACTS[request.POST.get("act", "")](request, user)
        except KeyError:
            return HttpResponseRedirect(request.path)
        except DomainError as exc:
            messages.error(request, exc.spoken)
        if not shown:
            return HttpResponseRedirect(request.path)
    context = {**context, **_context(user), "current": digest(request.session.session_key or ""), **shown}
    answer = TemplateResponse(request, "console/account.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _context(user: User) -> dict[str, Any]:
    stored = preferences_of(user)
    return {
        "account": user,
        "flags": [
            (field.name, field.verbose_name, getattr(stored, field.name))
            for field in Preferences._meta.concrete_fields
            if field.name in _FLAGS
        ],
        "language": stored.language,
        "languages": settings.LANGUAGES,
        "default_language": dict(settings.LANGUAGES)[settings.NOTIFICATION_LANGUAGE],
        "mail_enabled": settings.MAIL_ENABLED,
        "tokens": user.api_tokens.filter(expires_at__gt=timezone.now()),
        "scopes": ApiToken.Scope.choices,
        "longest_days": api_tokens.LONGEST_DAYS,
        "sessions": open_sessions(user),
        "second_factor": devices.has_one(user),
        "second_factor_offered": settings.SECOND_FACTOR != "off",
    }


def _change_profile(request: HttpRequest, user: User) -> dict[str, Any]:
    sent = {name: request.POST.get(name, "") for name in ("username", "email", "current_password")}
    services.update_user(str(user.pk), sent, by=user, fields=("username", "email"))
    messages.success(request, _("Your name and address are saved."))
    return {}


def _change_preferences(request: HttpRequest, user: User) -> dict[str, Any]:
    flags = {name: name in request.POST for name in _FLAGS}
    stored = update_preferences(user, {**flags, "language": request.POST.get("language", "")})
    web_language.remember(request, stored.language)
    with override(stored.language or get_language()):
        messages.success(request, _("Your preferences are saved."))
    return {}


def _make_token(request: HttpRequest, user: User) -> dict[str, Any]:
    days = request.POST.get("days", "")
    _made, raw = api_tokens.make(
        user, request.POST.get("name", ""), request.POST.get("scope", ""), int(days) if days.isdecimal() else days
    )
    return {"new_token": raw}


def _revoke_token(request: HttpRequest, user: User) -> dict[str, Any]:
    token = api_tokens.revoke(request.POST.get("id", ""), by=user)
    messages.success(request, _("The token %(name)s is revoked.") % {"name": token.name})
    return {}


def _end_session(request: HttpRequest, user: User) -> dict[str, Any]:
    services.end_session(request.POST.get("id", ""), by=user)
    messages.success(request, _("The session is ended."))
    return {}


_ACTS = {
    "profile": _change_profile,
    "preferences": _change_preferences,
    "make_token": _make_token,
    "revoke_token": _revoke_token,
    "end_session": _end_session,
}
