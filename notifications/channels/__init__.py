"""Channels by which messages leave: one file for each, listed in `SENDERS`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from notifications.channels import email, slack
from notifications.models import Channel, Message

# Sends one message; raises `SendingFailed`.
Send = Callable[[Message], None]
# For each channel a context that gives `Send` for several messages.
SENDERS: dict[str, Callable[[], AbstractContextManager[Send]]] = {
    Channel.EMAIL.value: email.session,
    Channel.SLACK.value: slack.session,
}
