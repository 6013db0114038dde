"""Answers that wait for something that needs no thread, such as a call of a target.

The web worker parks such an answer: the view has returned, status and headers are known, and the thread is free until
the body can be written. In any other server the thread waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from core.api.json import JsonRenderer

# Keys of a WSGI environment. Headers of a client begin with HTTP_ there.
CAN_PARK = "cronsched.can_park"
PARKED = "cronsched.parked"

Result = TypeVar("Result", covariant=True)


class Awaited(Protocol[Result]):
    """What an answer waits for; a `Future` is one."""

    def add_done_callback(self, call: Callable[[Any], object], /) -> None:
        """Call it, with one argument, once the result is there: at once if it is already, otherwise in any thread."""

    def result(self) -> Result:
        """Wait for the result. May raise."""


class Parked(NamedTuple):
    """An answer whose body is not known yet. `write` makes the body, in any thread, once `awaited` is done."""

    awaited: Awaited[Any]
    write: Callable[[], bytes]


def json_answer(request: HttpRequest, awaited: Awaited[Result], read: Callable[[Result], Any]) -> HttpResponse:
    """The answer 200 with what `read` makes of the result, as JSON, in the language of the request. `read` asks no
    database.
    """
    language = translation.get_language()

    def body() -> bytes:
        with translation.override(language):
            return JsonRenderer().render(read(awaited.result()))

    if not request.META.get(CAN_PARK):
        return HttpResponse(body(), content_type="application/json")
    request.META[PARKED] = Parked(awaited, body)
    return HttpResponse(content_type="application/json")
