"""Codes of an authenticator app."""

from __future__ import annotations

import time

from django_otp.oath import TOTP

from accounts.models import AppDevice, User


def code_of(user: User, *, ahead: int = 0) -> str:
    """The code that the user's app shows now, or `ahead` steps later."""
    device = AppDevice.objects.get(user=user)
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    totp.time = time.time() + ahead * device.step
    return f"{totp.token():06}"
