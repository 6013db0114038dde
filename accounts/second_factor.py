"""Who has a second factor for the admin: a time-based code (RFC 6238), kept by django-otp."""

from __future__ import annotations

from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User

_BACKUP_CODES = 10
_DIGITS = 6


def has_one(user: User) -> bool:
    """Whether the user has set a second factor up."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def draft(user: User) -> TOTPDevice:
    """The key that the user is setting up."""
    return TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "app"})[0]


@transaction.atomic
def confirm(device: TOTPDevice, code: str) -> list[str]:
    """Make a draft the user's second factor, if this is its code; returns backup codes, each of which works once. Empty: wrong code."""
    if not device.verify_token(code):
        return []
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    kept = StaticDevice.objects.create(user=device.user, name="backup")
    codes = [StaticToken.random_token() for _number in range(_BACKUP_CODES)]
    StaticToken.objects.bulk_create([StaticToken(device=kept, token=code) for code in codes])
    return codes


@transaction.atomic
def shown_by(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """The device whose code this is: the app's, or a backup code not used before. Guessing is slowed down by django-otp."""
    kind = TOTPDevice if code.isdigit() and len(code) == _DIGITS else StaticDevice
    device = kind.objects.filter(user=user, confirmed=True).first()
    return device if device is not None and device.verify_is_allowed()[0] and device.verify_token(code) else None


@transaction.atomic
def remove(user: User) -> None:
    """Take a user's second factor away, with its backup codes."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
