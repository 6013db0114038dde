"""Who the request under way comes from, and where: the trail of changes notes it without every service passing it on."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_request: ContextVar[Any] = ContextVar("request_under_way", default=None)


def set_request(request: Any) -> None:
    """Say which request is being answered; None when it is."""
    _request.set(request)


def address() -> str:
    """The address of the client whose request is being answered; '' outside a request (a command, the scheduler)."""
    return address_of(_request.get())


def address_of(request: Any) -> str:
    """The client's address; '' where there is none (a command)."""
    meta = getattr(request, "META", None)
    return str(meta.get("REMOTE_ADDR") or "") if isinstance(meta, dict) else ""


def user() -> Any:
    """The account that the request came with; None outside a request and for strangers."""
    found = getattr(_request.get(), "user", None)
    return found if found is not None and found.is_authenticated else None
