"""Where the request under way comes from: the trail of changes notes it without every service passing it on."""

from __future__ import annotations

from contextvars import ContextVar

_address: ContextVar[str] = ContextVar("caller_address", default="")


def address() -> str:
    """The address of the client whose request is being answered; '' outside a request (a command, the scheduler)."""
    return _address.get()


def set_address(value: str) -> None:
    """Say where the request that begins now comes from."""
    _address.set(value)
