"""Personal API tokens: made, shown once, used as Bearer tokens, revoked. What their owner may do limits them, and their scope further."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken, User
from contract import payload
from contract.errors import Conflict, Forbidden, NotFound, Unauthorized, invalid_field

PREFIX = "csk_"
LONGEST_DAYS = 730
_SAFE = {"GET", "HEAD", "OPTIONS"}
_USED_EVERY = dt.timedelta(minutes=1)


def make(user: User, name: Any, scope: Any = ApiToken.Scope.READ, days: Any = 90) -> tuple[ApiToken, str]:
    """A new token of a user, and its text, which nobody can read again. Raises `Invalid payload`, `Duplicate token name`."""
    cleaned = payload.text(name, "name", limit=100)
    if not cleaned:
        raise invalid_field("name", "Give the token a name that says what uses it.")
    if scope not in ApiToken.Scope.values:
        raise invalid_field("scope", "'scope' is 'read' or 'write'.")
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
        raise invalid_field("expires_in_days", f"'expires_in_days' is a whole number from 1 to {LONGEST_DAYS}.")
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
            token.save()
    except IntegrityError as exc:
        raise Conflict("Duplicate token name", f"You have a token named '{cleaned}'. Name this one otherwise.") from exc
    return token, raw


def revoke(token_id: Any, *, by: User) -> ApiToken:
    """Delete one of a user's own tokens; it works no more. Raises `Token not found`."""
    message = f"There is no token with the id '{token_id}'."
    pk = payload.uuid_or_404(token_id, "Token not found", message)
    token = ApiToken.objects.filter(pk=pk, user=by).first()
    if token is None:
        raise NotFound("Token not found", message)
    ApiToken.objects.filter(pk=pk).delete()
    return token


def used(raw: str, method: str, path: str) -> ApiToken:
    """The live token with this text, for one request. Raises `Unauthorized`, and `Forbidden` for what its scope leaves out.

    No token changes accounts, sessions or tokens: whoever finds one cannot make it last.
    """
    token = ApiToken.objects.select_related("user").filter(digest=_digest(raw)).first()
    now = timezone.now()
    if token is None or token.expires_at <= now:
        raise Unauthorized("Invalid token", "The API token is unknown, was revoked or has expired. Make another one.")
    if not token.user.is_active:
        raise Unauthorized("Invalid token", "Account is inactive. Contact administrator.")
    if method not in _SAFE and token.scope != ApiToken.Scope.WRITE:
        raise Forbidden("Insufficient permissions", "This API token may only read. Make one with the scope 'write'.")
    if method not in _SAFE and path.startswith("/api/v2/auth/"):
        raise Forbidden("Insufficient permissions", "API tokens cannot change accounts, sessions or tokens. Log in.")
    unused = Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY)
    if token.last_used_at is None or token.last_used_at < now - _USED_EVERY:
        ApiToken.objects.filter(unused, pk=token.pk).update(last_used_at=now)
    return token


def _digest(raw: str) -> str:
    # As random as the digest is long: no slow hash is needed.
    return hashlib.sha256(raw.encode()).hexdigest()
