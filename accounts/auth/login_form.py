"""The login form of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


class LoginForm(AuthenticationForm):
    """Username or e-mail address and password of an account that may enter the admin."""

    error_messages = {
        "invalid_login": _("The username or the password is wrong, or there were too many attempts: wait a minute."),
        "inactive": _("This account is disabled. Ask an admin."),
    }

    def confirm_login_allowed(self, user: Any) -> None:
        """Refuse accounts without access to the admin."""
        super().confirm_login_allowed(user)
        if not user.is_staff:
            raise ValidationError(_("This account may not enter the admin. Ask an admin for access."), "no_access")
