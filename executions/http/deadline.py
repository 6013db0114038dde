"""Time limits of calls that do not blame the target for time in which this process was stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

# The event loop reads sockets after timers: one more round lets it read answers that are there already.
_LAST_ROUND_SECONDS = 0.01
# A timer that is later than this was held up by a stop (SIGSTOP, a suspended machine). What needs the other side's
# answers, such as a TLS handshake, gets this much time more.
_STOPPED_SECONDS = 1.0


class Deadline:
    """Calls `expire` at a loop time, after what has arrived by then was read."""

    def __init__(self, at: float, expire: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = at
        self._expire = expire
        self._timer = self._loop.call_at(at, self._is_up)

    def cancel(self) -> None:
        self._timer.cancel()

    def _is_up(self) -> None:
        was_stopped = self._loop.time() - self._at > _STOPPED_SECONDS
        self._timer = self._loop.call_later(_STOPPED_SECONDS if was_stopped else _LAST_ROUND_SECONDS, self._expire)


class Timeout:
    """Like `asyncio.timeout`, with a `Deadline`: raises `TimeoutError` if the block takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._scope = asyncio.timeout(None)
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await self._scope.__aenter__()
        self._deadline = Deadline(loop.time() + self._seconds, lambda: self._scope.reschedule(loop.time()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        await self._scope.__aexit__(kind, exc, trace)
