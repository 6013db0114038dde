"""What a kind of target is: two questions, what do I send and what does the answer mean?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, NamedTuple, Protocol
from uuid import UUID

from executions.http import Request
from executions.models import ExecutionType
from executions.wire import Reply

# Makes one call; raises DeliveryError where no answer comes.
Send = Callable[[Request], Awaitable[Reply]]


class Run(NamedTuple):
    """A workflow run that GitHub began, and that is followed to its end."""

    id: int
    url: str


class Outcome(NamedTuple):
    """How a delivery ended.

    `error` is '' on success; `target` is what was called, if it differs from what was asked. Of a failure without a status `failure`
    says which it was: connect, timeout or broken. `repeatable`: whether another attempt can do no harm. `retry_after`: that header.
    `run`: what goes on elsewhere, so that the outcome is not known yet.
    """

    ok: bool
    response_status: int | None = None
    output: str = ""
    error: str = ""
    target: str = ""
    failure: str = ""
    repeatable: bool = True
    retry_after: str = ""
    run: Run | None = None


class Deliverable(Protocol):
    """A target with everything that one delivery needs.

    `repeatable`: whether a call that may have arrived may be made again (webhooks, by their Idempotency-Key) or not (dispatches).
    """

    repeatable: ClassVar[bool]
    kind: ClassVar[ExecutionType]

    async def deliver(self, send: Send, execution_id: UUID) -> Outcome:
        """Make the call or calls, and say what came of it. Lets `DeliveryError` through."""
        ...
