"""E-mail, through the mail server of the `MAIL_` settings."""

from __future__ import annotations

from django.core.mail import EmailMultiAlternatives

from notifications.channels.failure import SendingFailed
from notifications.models import Message


def send(message: Message) -> None:
    """Send one message. Raises `SendingFailed`."""
    # Mail programs show an unsubscribe button for these headers (RFC 2369, RFC 8058).
    unsubscribe = {
        "List-Unsubscribe": f"<{message.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    # Every attempt has the same Message-ID, so mail programs show one message even if this process dies before it
    # records the server's answer.
    headers = {"Message-ID": f"<{message.pk}@cronsched>", **(unsubscribe if message.unsubscribe else {})}
    mail = EmailMultiAlternatives(message.subject, message.text, to=[message.recipient], headers=headers)
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    try:
        mail.send()
    except (OSError, ValueError) as exc:
        raise SendingFailed(f"the mail server did not take it: {exc}") from exc
