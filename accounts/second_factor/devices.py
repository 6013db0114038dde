"""Second factors of users: time-based codes (TOTP, RFC 6238) and backup codes, stored by django-otp."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User
from audit import events
from audit.events import Event

_BACKUP_CODES = 10
_DIGITS = 6
_LONGEST_CODE = 20


def has_one(user: User) -> bool:
    """Whether the user has a confirmed second factor."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_needed_by(user: User) -> bool:
    """Whether the user's password alone does not let them in: `SECOND_FACTOR` is required of whoever may enter the
    admin, or the user has set one up.
    """
    if settings.SECOND_FACTOR == "off":
        return False
    return (settings.SECOND_FACTOR == "required" and user.is_staff) or has_one(user)


def draft(user: User) -> TOTPDevice:
    """The unconfirmed device whose key the user is setting up."""
    return TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "app"})[0]


@transaction.atomic
def confirm(device: TOTPDevice, code: str) -> list[str]:
    """Confirm a device if this is its code; returns backup codes, each valid once. An empty list means a wrong code.

    API logins that were made without it end.
    """
    user: User = device.user
    if not device.verify_token(code):
        return []
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    user.login_sessions.filter(second_factor=False).delete()
    kept = StaticDevice.objects.create(user=user, name="backup")
    codes = [StaticToken.random_token() for _number in range(_BACKUP_CODES)]
    StaticToken.objects.bulk_create([StaticToken(device=kept, token=code) for code in codes])
    events.note(Event.FACTOR_SET_UP, user.username, by=user, about=user.pk)
    return codes


@transaction.atomic
def shown_by(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """The device that accepts this code: the app, or an unused backup code. django-otp throttles guesses."""
    code = "".join(code.split()).lower()[:_LONGEST_CODE]
    if not code.isascii() or not code.isprintable():
        return None
    kind = TOTPDevice if code.isdigit() and len(code) == _DIGITS else StaticDevice
    device = kind.objects.filter(user=user, confirmed=True).first()
    return device if device is not None and device.verify_is_allowed()[0] and device.verify_token(code) else None


@transaction.atomic
def remove(user: User) -> None:
    """Delete a user's second factor and backup codes."""
    events.note(Event.FACTOR_REMOVED, user.username, about=user.pk)
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
