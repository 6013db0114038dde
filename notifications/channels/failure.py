"""The error of a channel that could not send a message."""

from __future__ import annotations


class SendingFailed(Exception):
    """The mail server or Slack did not accept a message; the reason contains no secret."""
