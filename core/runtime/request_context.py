"""The current request: the audit trail reads the user and the client address from here."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_request: ContextVar[Any] = ContextVar("request_under_way", default=None)


def set_request(request: Any) -> None:
    """Set the current request; None when it has been answered."""
    _request.set(request)


def address() -> str:
    """The client address of the current request; '' outside a request (a command, the scheduler)."""
    return address_of(_request.get())


def address_of(request: Any) -> str:
    """The client address of a request; '' if there is none."""
    meta = getattr(request, "META", None)
    return str(meta.get("REMOTE_ADDR") or "") if isinstance(meta, dict) else ""


def is_forwarded() -> bool:
    """Whether the current request says that it came through a proxy."""
    meta = getattr(_request.get(), "META", None)
    return isinstance(meta, dict) and bool(meta.get("HTTP_X_FORWARDED_FOR"))


def user() -> Any:
    """The authenticated user of the current request; None outside a request."""
    found = getattr(_request.get(), "user", None)
    return found if found is not None and found.is_authenticated else None
