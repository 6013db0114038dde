"""Slack, through the incoming webhook of the Slack settings, which is called like every webhook: by the target policy,
and without following redirects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from core.runtime import outbound
from executions.http.client import Request
from executions.http.connection import DeliveryError
from executions.http.once import send_once
from notifications.channels.failure import SendingFailed
from notifications.models import Message
from settings_app.models import SlackSettings

# Characters of an answer that are shown: whoever may set the URL must not read whole pages by it.
_SHOWN = 200


@contextmanager
def session() -> Iterator[Callable[[Message], None]]:
    """Sends messages, one request for each."""
    yield _send


def _send(message: Message) -> None:
    slack = SlackSettings.current()
    if not slack.is_enabled:
        raise SendingFailed("Slack is switched off")
    post(slack, message.text, message.blocks)


def post(slack: SlackSettings, text: str, blocks: Any = None) -> str:
    """Post a text to the stored webhook; returns Slack's answer. Raises `SendingFailed`."""
    if not slack.webhook_url:
        raise SendingFailed("no webhook URL is stored")
    extra: dict[str, Any] = {"channel": slack.channel} if slack.channel else {}
    if blocks:
        extra["blocks"] = blocks
    body = orjson.dumps({"text": text, **extra})
    headers = {"Content-Type": "application/json; charset=utf-8"}
    try:
        reply = send_once(Request("POST", slack.webhook_url, headers, body), outbound.TIMEOUT)
    except DeliveryError as exc:
        raise SendingFailed(f"Slack cannot be reached: {exc}") from exc
    if reply.status != 200:
        raise SendingFailed(f"Slack answered {reply.status}: {reply.text[:_SHOWN]}")
    return reply.text[:_SHOWN]
