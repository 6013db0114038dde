"""Channels by which messages leave: one file for each, listed in `SENDERS`."""

from __future__ import annotations

from collections.abc import Callable

from notifications.channels import email, slack
from notifications.models import Channel, Message

SENDERS: dict[str, Callable[[Message], None]] = {Channel.EMAIL: email.send, Channel.SLACK: slack.send}
