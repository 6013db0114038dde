"""Kinds of targets: one folder for each, listed in `KINDS`. See docs/adding-a-target.md."""

from __future__ import annotations

from core.masking import masked_text
from executions.targets.base import Call, Deliverable, DeliverableTarget, Outcome, Send
from executions.targets.github.dispatch import GitHubDispatch
from executions.targets.github.target import GitHubTarget
from executions.targets.webhook.call import Webhook
from executions.targets.webhook.target import WebhookTarget
from jobs.targets import kinds
from jobs.targets.kinds import Target

KINDS: tuple[type[DeliverableTarget], ...] = (WebhookTarget, GitHubTarget)


def register_kinds() -> None:
    """Make every kind known to the jobs app."""
    for kind in KINDS:
        kinds.register(kind)


def installed_kinds() -> list[type[DeliverableTarget]]:
    """Every registered kind."""
    return [target_kind(kind.kind) for kind in kinds.registered()]


def target_kind(name: str) -> type[DeliverableTarget]:
    """The kind with this name. Raises `ValueError` for one that is not registered."""
    found = kinds.kind_named(name)
    assert issubclass(found, DeliverableTarget)
    return found


def deliverable(target: Target) -> DeliverableTarget:
    """The same target with its answers about delivery; every registered kind has them."""
    assert isinstance(target, DeliverableTarget)
    return target


def shown_target(kind: str, text: str) -> str:
    """A stored target without its secret parts; the text may be none that its kind can read."""
    try:
        return target_kind(kind).parse(text).shown()
    except ValueError:
        return masked_text(text.partition("?")[0])


__all__ = [
    "Call",
    "Deliverable",
    "DeliverableTarget",
    "GitHubDispatch",
    "GitHubTarget",
    "Outcome",
    "Send",
    "Webhook",
    "WebhookTarget",
    "deliverable",
    "installed_kinds",
    "register_kinds",
    "shown_target",
    "target_kind",
]
