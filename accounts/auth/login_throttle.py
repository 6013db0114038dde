"""Throttles logins; all processes share the counters in the database.

An attempt is counted before its password is checked, so that parallel guesses are all counted, and taken back when the
password is right. There are three limits:

- an account, whatever name of it was typed, from an address: `LOGIN_FAILURES_ALLOWED` failures in
  `LOGIN_FAILURE_WINDOW_SECONDS`;
- an address over all names: ten times as many (not behind a proxy that is missing in `TRUSTED_PROXIES`, where every
  client has the proxy's address);
- an account over all addresses: after ten times as many, attempts are spaced by a delay that doubles up to a minute.
  Addresses from which the account is logged in, by API or in the admin, are exempt, so that nobody can lock its owner
  out from everywhere.

IPv6 addresses count by their /64 network, which one subscriber has to itself.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.auth.open_sessions import is_logged_in_from
from accounts.models import LoginFailures, User
from core.api.errors import TooManyRequests
from core.runtime import request_context

_TIMES = 10
_LONGEST_DELAY = 60.0
_ANY = ""


def attempt(identity: str, address: str) -> None:
    """Count an attempt to log in. Raises `TooManyRequests` if it is one too many; its password is not checked then."""
    user, identity, network = *_account(identity), _network(address)
    allowed = settings.LOGIN_FAILURES_ALLOWED
    with transaction.atomic():
        _count(identity, network, allowed, "for this account")
        if user is None or not is_logged_in_from(user, address):
            if settings.TRUSTED_PROXIES or not request_context.is_forwarded():
                _count(_ANY, network, _TIMES * allowed, "from this address")
            _space(identity, _TIMES * allowed)


def succeeded(identity: str, address: str) -> None:
    """Take the attempt back, and forget the failures of this name and address. Call it before the session is stored."""
    user, identity, network = *_account(identity), _network(address)
    # Not deleted: a parallel attempt may be about to lock the row.
    LoginFailures.objects.filter(identity=identity, address=network).update(count=0)
    if user is not None and is_logged_in_from(user, address):
        return
    for others in ({"identity": _ANY, "address": network}, {"identity": identity, "address": _ANY}):
        with transaction.atomic():
            for row in LoginFailures.objects.select_for_update().filter(**others, count__gt=0):
                row.count -= 1
                row.save(update_fields=["count"])


def delete_old() -> None:
    """Delete counters whose window has passed."""
    LoginFailures.objects.filter(since__lte=timezone.now() - _window()).delete()


def _window() -> dt.timedelta:
    return dt.timedelta(seconds=settings.LOGIN_FAILURE_WINDOW_SECONDS)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False).network_address) if found.version == 6 else address


def _account(identity: str) -> tuple[User | None, str]:
    """The account that is meant, and the name under which its failures are counted."""
    user = User.objects.by_identity(identity)
    return user, (user.username if user else identity.strip().lower())[:254]


def _row(identity: str, network: str, now: dt.datetime) -> LoginFailures:
    """The counter, locked; it begins again after its window."""
    rows = LoginFailures.objects.select_for_update()
    row, _ = rows.get_or_create(identity=identity, address=network, defaults={"count": 0, "since": now})
    if row.since + _window() <= now:
        row.count, row.since, row.not_before = 0, now, None
    return row


def _count(identity: str, network: str, allowed: int, whose: str) -> None:
    now = timezone.now()
    row = _row(identity, network, now)
    if row.count >= allowed:
        raise _too_many(row.since + _window() - now, whose)
    row.count += 1
    row.save()


def _space(identity: str, allowed: int) -> None:
    now = timezone.now()
    row = _row(identity, _ANY, now)
    if row.not_before and row.not_before > now:
        raise _too_many(row.not_before - now, "for this account")
    row.count += 1
    if row.count >= allowed:
        row.not_before = now + dt.timedelta(seconds=min(2.0 ** min(row.count - allowed, 10), _LONGEST_DELAY))
    row.save()


def _too_many(wait: dt.timedelta, whose: str) -> TooManyRequests:
    seconds = max(1, math.ceil(wait.total_seconds()))
    return TooManyRequests(
        "Too many login attempts",
        f"Too many failed logins {whose}. Try again in {seconds} seconds.",
        retry_after=seconds,
    )
