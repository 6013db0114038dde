"""The `Retry-After` header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

from django.utils import timezone


def retry_after(value: str) -> float:
    """Seconds that a `Retry-After` header asks for, given as a number or an HTTP date; 0 if it cannot be read."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - timezone.now()).total_seconds())
