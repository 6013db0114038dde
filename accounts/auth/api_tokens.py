"""Personal API tokens: created, shown once, used as Bearer tokens, revoked.

A token can do what its owner may do, limited further by its scope.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken, User
from accounts.second_factor import devices
from audit import events
from audit.events import Event
from core.api import payload
from core.api.errors import Checks, Conflict, Forbidden, NotFound, Unauthorized, invalid_field

PREFIX = "csk_"
LONGEST_DAYS = 730
MOST = 100
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_USED_EVERY = dt.timedelta(minutes=1)


def make(user: User, name: Any, scope: Any = ApiToken.Scope.READ, days: Any = 90) -> tuple[ApiToken, str]:
    """Create a token; returns it and its text, which is stored nowhere. Raises `Invalid payload`, `Duplicate token
    name`, `Too many tokens`.
    """
    checks, cleaned = Checks(), ""
    with checks.check():
        cleaned = payload.text(name, "name", limit=100)
        if not cleaned:
            raise invalid_field("name", "Give the token a name that says what uses it.")
    with checks.check():
        if scope not in ApiToken.Scope.values:
            raise invalid_field("scope", "'scope' is 'read' or 'write'.")
    with checks.check():
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
            raise invalid_field("expires_in_days", f"'expires_in_days' is a whole number from 1 to {LONGEST_DAYS}.")
    checks.finish()
    raw = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user=user,
        name=cleaned,
        scope=scope,
        digest=_digest(raw),
        beginning=raw[:12],
        expires_at=timezone.now() + dt.timedelta(days=days),
    )
    try:
        with transaction.atomic():
            _check_number(user)
            token.save()
    except IntegrityError as exc:
        raise Conflict("Duplicate token name", f"You have a token named '{cleaned}'. Name this one otherwise.") from exc
    events.note(Event.TOKEN_MADE, token.name, by=user, about=token.pk, scope=token.scope, days=days)
    return token, raw


def _check_number(user: User) -> None:
    # Locked, so that of two that are made at once the second is counted with the first.
    User.objects.select_for_update().get(pk=user.pk)
    if user.api_tokens.filter(expires_at__gt=timezone.now()).count() >= MOST:
        raise Conflict("Too many tokens", f"An account has at most {MOST} tokens. Revoke one that nobody uses.")


def revoke(token_id: Any, *, by: User) -> ApiToken:
    """Delete one of a user's own tokens. Raises `Token not found`."""
    message = f"There is no token with the id '{token_id}'."
    pk = payload.uuid_or_404(token_id, "Token not found", message)
    token = ApiToken.objects.select_related("user").filter(pk=pk, user=by).first()
    if token is None:
        raise NotFound("Token not found", message)
    ApiToken.objects.filter(pk=pk).delete()
    note_revoked(token)
    return token


def note_revoked(token: ApiToken) -> None:
    """Put the revocation into the audit trail."""
    events.note(Event.TOKEN_REVOKED, token.name, about=token.pk, owner=token.user.username)


def used(raw: str, method: str) -> ApiToken:
    """The valid token with this text. Raises `Unauthorized`, and `Forbidden` for a write with scope read."""
    token = ApiToken.objects.select_related("user").filter(digest=_digest(raw)).first()
    now = timezone.now()
    if token is None or token.expires_at <= now:
        raise Unauthorized("Invalid token", "The API token is unknown, was revoked or has expired. Make another one.")
    if not token.user.is_active:
        raise Unauthorized("Invalid token", "Account is inactive. Contact administrator.")
    if devices.is_missing(token.user):
        raise Unauthorized("Second factor required", "Set one up at /second-factor/ of the admin, then make a token.")
    if method not in _SAFE and token.scope != ApiToken.Scope.WRITE:
        raise Forbidden("Insufficient permissions", "This API token may only read. Make one with the scope 'write'.")
    unused = Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY)
    if token.last_used_at is None or token.last_used_at < now - _USED_EVERY:
        ApiToken.objects.filter(unused, pk=token.pk).update(last_used_at=now)
    return token


def _digest(raw: str) -> str:
    # The token has 256 random bits, so a fast hash is enough.
    return hashlib.sha256(raw.encode()).hexdigest()
