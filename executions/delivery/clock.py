"""The engine's clock: monotonic time and timers. Tests inject a clock that they advance by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol


class Clock(Protocol):
    """Monotonic seconds, and callbacks in an event loop."""

    def monotonic(self) -> float: ...

    def call_later(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[..., object], *args: Any
    ) -> None:
        """Call `callback(*args)` in the loop after `seconds`."""
        ...


class SystemClock:
    """The system's monotonic clock and the event loop's own timers."""

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[..., object], *args: Any
    ) -> None:
        loop.call_later(seconds, callback, *args)
