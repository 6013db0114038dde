"""Links with which somebody chooses the password of an account: invitations and resets by an admin.

A link is Django's password reset token (django.contrib.auth.tokens): it ends after three days, at the first use, and
when the password, the address or the last login of the account changes. Nothing is stored.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from accounts.models import User
from audit import events
from audit.events import Event


def make_link(user: User, *, by: User | None) -> str:
    """The URL with which the holder chooses the password of an account; the audit trail says who made it (None: an
    operator).
    """
    events.note(Event.LINK_MADE, user.username, by=by, about=user.pk)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("set_password", args=[uid, default_token_generator.make_token(user)])
    return settings.PUBLIC_URL.rstrip("/") + path


def send_link(user: User, url: str) -> None:
    """Mail the link to the account's address. Raises `OSError` if the mail server does not take it."""
    text = _("Choose the password of your Cronsched account %(name)s within three days:") % {"name": user.username}
    send_mail(_("Your Cronsched account"), f"{text}\n\n{url}\n", None, [user.email])
