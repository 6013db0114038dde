"""Throttles logins and codes of second factors; all processes share the counters in the database.

An attempt is counted before its password or code is checked, so that parallel guesses are all counted, and taken back
when it is right. There are three limits on passwords:

- an account, whatever name of it was typed, from an address: `LOGIN_FAILURES_ALLOWED` failures in
  `LOGIN_FAILURE_WINDOW_SECONDS`;
- an address over all names: ten times as many (where addresses tell clients apart);
- an account over all addresses: after ten times as many, attempts are spaced by a delay that doubles up to a minute.
  Addresses from which the account is logged in, by API or in the admin, are exempt, so that nobody can lock its owner
  out from everywhere.

There are two limits on codes, which whoever has the password could guess: `LOGIN_FAILURES_ALLOWED` from an address in
the window, of an app and of backup codes apart (where addresses tell clients apart); and over all addresses, after as
many in a day, attempts are spaced by a delay that doubles up to an hour, about 45 guesses a day. Exempt from the second
are addresses from which the account is logged in with a second factor, and backup codes, which have 40 random bits: so
the owner gets in.

IPv6 addresses count by their /64 network, which one subscriber has to itself.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.auth.open_sessions import is_logged_in_from
from accounts.models import LoginFailures, User
from audit import events
from audit.events import Event
from audit.models import ChangeRecord
from core.api.errors import TooManyRequests
from core.runtime import request_context

_TIMES = 10
_DAY = dt.timedelta(days=1)
_ANY = ""


class _Spacing(NamedTuple):
    """After `allowed` attempts within `window`, each is followed by a delay that doubles up to `longest`."""

    allowed: int
    window: dt.timedelta
    longest: dt.timedelta


def attempt(identity: str, address: str) -> None:
    """Count an attempt to log in. Raises `TooManyRequests` if it is one too many; its password is not checked then."""
    user, identity, network = *_account(identity), _network(address)
    allowed = settings.LOGIN_FAILURES_ALLOWED
    spacing = _Spacing(_TIMES * allowed, _window(), longest=dt.timedelta(minutes=1))
    with _telling_of_limits(user):
        _count(identity, network, allowed, "logins for this account")
        if user is None or not is_logged_in_from(user, address):
            if _tells_clients_apart():
                _count(_ANY, network, _TIMES * allowed, "logins from this address")
            _space(identity, spacing, "logins for this account")


def succeeded(identity: str, address: str) -> None:
    """Take the attempt back, and forget the failures of this name and address. Call it before the session is stored."""
    user, identity, network = *_account(identity), _network(address)
    _forget(identity, network)
    if user is None or not is_logged_in_from(user, address):
        _take_back(_ANY, network)
        _take_back(identity, _ANY)


def attempt_code(user: User, address: str, *, is_of_app: bool) -> None:
    """Count a code of a second factor. Raises `TooManyRequests` if it is one too many; it is not checked then."""
    identity, allowed = _codes_of(user, is_of_app), settings.LOGIN_FAILURES_ALLOWED
    spacing = _Spacing(allowed, _DAY, longest=dt.timedelta(hours=1))
    with _telling_of_limits(user):
        if _tells_clients_apart():
            _count(identity, _network(address), allowed, "codes for this account")
        if is_of_app and not _has_shown_a_code_from(user, address):
            _space(identity, spacing, "codes for this account")


def code_succeeded(user: User, address: str, *, is_of_app: bool) -> None:
    """Take the attempt back, and forget the wrong codes from this address. Call it before the session is stored."""
    identity = _codes_of(user, is_of_app)
    _forget(identity, _network(address))
    if is_of_app and not _has_shown_a_code_from(user, address):
        _take_back(identity, _ANY)


def delete_old() -> None:
    """Delete counters whose window has passed."""
    LoginFailures.objects.filter(since__lte=timezone.now() - max(_window(), _DAY)).delete()


def _has_shown_a_code_from(user: User, address: str) -> bool:
    return _tells_clients_apart() and is_logged_in_from(user, address, with_second_factor=True)


def _tells_clients_apart() -> bool:
    """False behind a proxy that is missing in `TRUSTED_PROXIES`, where every client has the proxy's address."""
    return bool(settings.TRUSTED_PROXIES) or not request_context.is_forwarded()


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


def _codes_of(user: User, is_of_app: bool) -> str:
    # Names that are typed at a login are counted in small letters: none is this one.
    return f"{'Codes' if is_of_app else 'Backup codes'} of {user.pk}"


@contextmanager
def _telling_of_limits(user: User | None) -> Iterator[None]:
    """One transaction; the first attempt of a day that is one too many goes into the trail."""
    try:
        with transaction.atomic():
            yield
    except TooManyRequests:
        name = user.username if user else "(unknown account)"
        told = ChangeRecord.objects.filter(subject=events.SUBJECT, kind=Event.LOGIN_LIMITED, name=name)
        if not told.filter(at__gt=timezone.now() - _DAY).exists():
            events.note(Event.LOGIN_LIMITED, name, about=user.pk if user else None)
        raise


def _row(identity: str, network: str, window: dt.timedelta) -> LoginFailures:
    """The counter, locked; it begins again after its window."""
    now = timezone.now()
    rows = LoginFailures.objects.select_for_update()
    row, _ = rows.get_or_create(identity=identity, address=network, defaults={"count": 0, "since": now})
    if row.since + window <= now:
        row.count, row.since, row.not_before = 0, now, None
    return row


def _count(identity: str, network: str, allowed: int, what: str) -> None:
    """Count one attempt of at most `allowed` in the window. `what`: what is counted, for people."""
    row = _row(identity, network, _window())
    if row.count >= allowed:
        raise _too_many(row.since + _window() - timezone.now(), what)
    row.count += 1
    row.save()


def _space(identity: str, spacing: _Spacing, what: str) -> None:
    """Count one attempt over all addresses."""
    now = timezone.now()
    row = _row(identity, _ANY, spacing.window)
    if row.not_before and row.not_before > now:
        raise _too_many(row.not_before - now, what)
    row.count += 1
    if (over := row.count - spacing.allowed) >= 0:
        row.not_before = now + min(dt.timedelta(seconds=2.0 ** min(over, 20)), spacing.longest)
    row.save()


def _forget(identity: str, network: str) -> None:
    # Not deleted: a parallel attempt may be about to lock the row.
    LoginFailures.objects.filter(identity=identity, address=network).update(count=0)


def _take_back(identity: str, network: str) -> None:
    # The delay was that of this attempt: one before would have refused it.
    mine = LoginFailures.objects.filter(identity=identity, address=network, count__gt=0)
    mine.update(count=F("count") - 1, not_before=None)


def _too_many(wait: dt.timedelta, what: str) -> TooManyRequests:
    seconds = max(1, math.ceil(wait.total_seconds()))
    return TooManyRequests(
        "Too many login attempts",
        f"Too many failed {what}. Try again in {seconds} seconds.",
        retry_after=seconds,
    )
