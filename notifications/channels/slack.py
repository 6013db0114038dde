"""Slack, through the incoming webhook of the Slack settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from slack_sdk.webhook import WebhookClient

from core.runtime import outbound
from notifications.channels.failure import SendingFailed
from notifications.models import Message
from settings_app.models import SlackSettings


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
    try:
        answer = _client(slack.webhook_url).send_dict({"text": text, **extra})
    except OSError as exc:
        raise SendingFailed(f"Slack cannot be reached: {type(exc).__name__}") from exc
    if answer.status_code != 200:
        raise SendingFailed(f"Slack answered {answer.status_code}: {answer.body[:200]}")
    return str(answer.body)


def _client(url: str) -> WebhookClient:
    proxied = outbound.proxy_for(urlsplit(url).hostname or "")
    return WebhookClient(
        url,
        timeout=int(outbound.TIMEOUT),
        ssl=outbound.tls_context(),
        proxy=settings.OUTBOUND_PROXY if proxied else None,
        user_agent_prefix=outbound.USER_AGENT,
    )
