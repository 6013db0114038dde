"""Requests whose answer waits for something that needs no thread, such as a call of a target.

The web worker parks such a request: its thread is free until what the request waits for has ended. Then the request
runs from its beginning once more, and finds the result. In any other server the thread waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

# Keys of a WSGI environment. Headers of a client begin with HTTP_ there.
CAN_PARK = "cronsched.can_park"
AWAITED = "cronsched.awaited"

Result = TypeVar("Result", covariant=True)


class Awaited(Protocol[Result]):
    """What a request waits for; a `Future` is one."""

    def add_done_callback(self, call: Callable[[Any], object], /) -> None:
        """Call it, with one argument, once the result is there: at once if it is already, otherwise in any thread."""

    def result(self) -> Result:
        """Wait for the result. May raise."""


class Parked(BaseException):
    """The answer of the request waits. No error: nothing between the view and the web worker may handle it."""

    def __init__(self, awaited: Awaited[object]) -> None:
        super().__init__()
        self.awaited = awaited


def result_of(environ: Mapping[str, Any], begin: Callable[[], Awaited[Result]]) -> Result:
    """The result of what `begin` starts; it starts once a request. Raises `Parked`: what comes before it in a view
    happens twice.
    """
    awaited: Awaited[Result] | None = environ.get(AWAITED)
    if awaited is None:
        awaited = begin()
        if environ.get(CAN_PARK):
            raise Parked(awaited)
    return awaited.result()
