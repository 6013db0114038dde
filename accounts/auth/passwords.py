"""Password rules that Django does not bring."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


class LengthValidator:
    """At least `PASSWORD_MIN_LENGTH` characters (the contract's wording) and at most `PASSWORD_MAX_LENGTH`."""

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) < settings.PASSWORD_MIN_LENGTH:
            raise ValidationError(
                f"Password must be at least {settings.PASSWORD_MIN_LENGTH} characters long", "password_too_short"
            )
        if len(password) > settings.PASSWORD_MAX_LENGTH:
            raise ValidationError(
                f"Password must be at most {settings.PASSWORD_MAX_LENGTH} characters long", "password_too_long"
            )

    def get_help_text(self) -> str:
        return _("%(least)d to %(most)d characters.") % {
            "least": settings.PASSWORD_MIN_LENGTH,
            "most": settings.PASSWORD_MAX_LENGTH,
        }
