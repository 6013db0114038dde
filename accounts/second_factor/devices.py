"""Second factors of users: time-based codes (TOTP, RFC 6238) and backup codes, stored by django-otp.

The app's secret is encrypted in the database; backup codes are stored as digests under the secret key.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.auth import login_throttle
from accounts.models import AppDevice, User
from audit import events
from audit.events import Event

_BACKUP_CODES = 10
_DIGITS = 6
_SALT = "accounts.second_factor.backup codes"
# The length of the library's column.
_DIGEST_LENGTH = 16
_LONGEST_CODE = 20


def has_one(user: User) -> bool:
    """Whether the user has a confirmed second factor."""
    # The library's own table: a device without a secret of ours lets nobody in.
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_needed_by(user: User) -> bool:
    """Whether the user's password alone does not let them in: `SECOND_FACTOR` is required of whoever may enter the
    admin, or the user has set one up.
    """
    if settings.SECOND_FACTOR == "off":
        return False
    return _is_required_of(user) or has_one(user)


def is_missing(user: User) -> bool:
    """Whether the user must set up a second factor before anything else."""
    return _is_required_of(user) and not has_one(user)


def _is_required_of(user: User) -> bool:
    return bool(settings.SECOND_FACTOR == "required" and user.is_staff)


def draft(user: User) -> AppDevice:
    """The unconfirmed device whose key the user is setting up."""
    device: AppDevice = AppDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "app"})[0]
    return device


@transaction.atomic
def confirm(device: AppDevice, code: str) -> list[str]:
    """Confirm a device if this is its code; returns backup codes, each valid once. An empty list means a wrong code.

    API logins that were made without it end, and where it is required also the API tokens.
    """
    user: User = device.user
    if not device.verify_token(_cleaned(code)):
        return []
    AppDevice.objects.filter(pk=device.pk).update(confirmed=True)
    user.login_sessions.filter(second_factor=False).delete()
    if _is_required_of(user):
        for token in user.api_tokens.all():
            events.note(Event.TOKEN_REVOKED, token.name, by=user, about=token.pk, owner=user.username)
            token.delete()
    kept = StaticDevice.objects.create(user=user, name="backup")
    codes = [StaticToken.random_token() for _number in range(_BACKUP_CODES)]
    StaticToken.objects.bulk_create([StaticToken(device=kept, token=_digest(code)) for code in codes])
    events.note(Event.FACTOR_SET_UP, user.username, by=user, about=user.pk)
    return codes


def shown_by(user: User, code: str, address: str) -> AppDevice | StaticDevice | None:
    """The device that accepts this code, from this address: the app, or an unused backup code; None for a wrong code.
    Raises `TooManyRequests`.
    """
    code = _cleaned(code)
    is_of_app = code.isascii() and code.isdigit() and len(code) == _DIGITS
    login_throttle.attempt_code(user, address, is_of_app=is_of_app)
    device = _accepting(user, code, is_of_app=is_of_app)
    if device is None:
        events.note(Event.FACTOR_REFUSED, user.username, about=user.pk)
    else:
        login_throttle.code_succeeded(user, address, is_of_app=is_of_app)
    return device


@transaction.atomic
def _accepting(user: User, code: str, *, is_of_app: bool) -> AppDevice | StaticDevice | None:
    kind = AppDevice if is_of_app else StaticDevice
    device = kind.objects.filter(user=user, confirmed=True).first()
    if device is None or not code.isascii() or not code.isprintable():
        return None
    return device if device.verify_token(code if is_of_app else _stored(device, code)) else None


def _cleaned(code: str) -> str:
    return "".join(code.split()).lower()[:_LONGEST_CODE]


def _stored(device: StaticDevice, code: str) -> str:
    """The digest under which a backup code is stored, as the present or a former secret key makes it."""
    made = [_digest(code, key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    known = set(device.token_set.filter(token__in=made).values_list("token", flat=True))
    return next((one for one in made if one in known), made[0])


def _digest(code: str, key: str | None = None) -> str:
    return salted_hmac(_SALT, code, secret=key, algorithm="sha256").hexdigest()[:_DIGEST_LENGTH]


@transaction.atomic
def remove(user: User) -> None:
    """Delete a user's second factor and backup codes."""
    events.note(Event.FACTOR_REMOVED, user.username, about=user.pk)
    # By the library's table: the secret is not read, as its key may be lost.
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
