"""E-mail, through the mail server of the `MAIL_` settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.core.mail import EmailMultiAlternatives, get_connection

from notifications.channels.failure import SendingFailed
from notifications.models import Message


@contextmanager
def session() -> Iterator[Callable[[Message], None]]:
    """Sends messages over one connection to the mail server, which is opened for the first message."""
    connection = get_connection()

    def send(message: Message) -> None:
        try:
            connection.open()
            _mail(message, connection).send()
        except (OSError, ValueError) as exc:
            with suppress(OSError):
                connection.close()
            raise SendingFailed(f"the mail server did not take it: {exc}") from exc

    try:
        yield send
    finally:
        with suppress(OSError):
            connection.close()


def _mail(message: Message, connection: object) -> EmailMultiAlternatives:
    # Mail programs show an unsubscribe button for these headers (RFC 2369, RFC 8058).
    unsubscribe = {
        "List-Unsubscribe": f"<{message.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    # Every attempt has the same Message-ID, so mail programs show one message even if this process dies before it
    # records the server's answer.
    headers = {"Message-ID": f"<{message.pk}@cronsched>", **(unsubscribe if message.unsubscribe else {})}
    mail = EmailMultiAlternatives(
        message.subject, message.text, to=[message.recipient], headers=headers, connection=connection
    )
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    return mail
