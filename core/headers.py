"""Headers of requests: what a value may hold, and which nobody but Cronsched writes."""

from __future__ import annotations

# Headers of the connection (RFC 9110 section 7.6.1), of the message's framing, and those that Cronsched writes.
_OURS = frozenset(
    [
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ]
)


def is_value(text: str) -> bool:
    """Whether a text can be the value of a header: printable ASCII and tabs (RFC 9110 section 5.5)."""
    return text.isascii() and text.replace("\t", "").isprintable()


def is_ours(name: str) -> bool:
    """Whether users may not set a header of this name."""
    low = name.lower()
    return low in _OURS or low.startswith("x-cronsched-")
