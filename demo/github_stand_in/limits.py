"""The rate limits of the stand-in (GitHub REST: "Rate limits for the REST API")."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
_PRIMARY = {"message": "API rate limit exceeded for user ID 1.", "documentation_url": "https://docs.github.com/rest"}
_SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
}


class RateLimits:
    """The limits of every token; None is no limit. `hourly`: requests an hour (primary). `dispatches_per_minute` and
    `most_at_once`: secondary. `says_retry_after`: whether refusals for a secondary limit name a time; `status`: that of
    such a refusal, 403 or 429.
    """

    def __init__(self) -> None:
        self.hourly: int | None = None
        self.dispatches_per_minute: int | None = None
        self.most_at_once: int | None = None
        self.says_retry_after = True
        self.status = 403
        self.refused = 0
        self.under_way = self.highest_at_once = 0
        self._asked: dict[str, deque[float]] = {}
        self._dispatched: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.under_way += 1
            self.highest_at_once = max(self.highest_at_once, self.under_way)

    def end(self) -> None:
        with self._lock:
            self.under_way -= 1

    def refusal(self, token: str, *, is_dispatch: bool, now: float) -> Answer | None:
        """The answer to a request that a limit refuses; other requests count."""
        with self._lock:
            asked = _within(self._asked.setdefault(token, deque()), now, 3600)
            if self.hourly is not None and len(asked) >= self.hourly:
                self.refused += 1
                reset = str(int(asked[0] + 3600) + 1)
                return 403, _PRIMARY, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
            if self.most_at_once is not None and self.under_way > self.most_at_once:
                return self._secondary(60)
            dispatched = _within(self._dispatched.setdefault(token, deque()), now, 60)
            if is_dispatch and self.dispatches_per_minute is not None:
                if len(dispatched) >= self.dispatches_per_minute:
                    return self._secondary(max(1, int(dispatched[0] + 60 - now) + 1))
                dispatched.append(now)
            asked.append(now)
            return None

    def _secondary(self, seconds: int) -> Answer:
        self.refused += 1
        return self.status, _SECONDARY, {"Retry-After": str(seconds)} if self.says_retry_after else {}


def _within(moments: deque[float], now: float, seconds: float) -> deque[float]:
    while moments and moments[0] <= now - seconds:
        moments.popleft()
    return moments
