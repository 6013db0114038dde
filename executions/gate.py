"""How much may be under way at once: in all, and for each key (a host, a PIC team)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple


class Key(NamedTuple):
    """Something that stands only so much at once, and how much."""

    name: str
    limit: int


Keys = tuple[Key, ...]
Start = Callable[[], object]


class Gate:
    """Lets callers in while there is room, and keeps the others waiting, in order within each set of keys.

    `limit` is for all together. It lives in one event loop; other threads may only ask. `allowed`: how many a key lets in here, where that is
    not its whole limit.
    """

    def __init__(self, limit: int) -> None:
        self.allowed: Callable[[Key], int] = lambda key: key.limit
        self._limit = limit
        self._inside = 0
        self._demand: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._lanes: dict[Keys, deque[Start]] = {}

    def enter(self, keys: Keys, start: Start) -> None:
        """Call `start` now if there is room for `keys`, else as soon as there is. Each entry needs one `leave`."""
        for key in keys:
            self._demand[key.name] += 1
        if keys not in self._lanes and self._has_room(keys):
            self._take(keys)
            start()
        else:
            self._lanes.setdefault(keys, deque()).append(start)

    def leave(self, keys: Keys) -> None:
        """Give the room back and let in whoever fits."""
        self._inside -= 1
        for key in keys:
            self._held[key.name] -= 1
            if not self._held[key.name]:
                del self._held[key.name]
            self._demand[key.name] -= 1
            if not self._demand[key.name]:
                del self._demand[key.name]
        self.look_again()

    def look_again(self) -> None:
        """Let in whoever fits."""
        for lane in list(self._lanes) if self._lanes else ():
            if self._inside >= self._limit:
                return
            self._admit(lane)

    @property
    def is_full(self) -> bool:
        """Whether as many are inside as may be in all."""
        return self._inside >= self._limit

    def inside(self, name: str) -> int:
        """How many with this key are inside."""
        return self._held[name]

    def demand(self, name: str) -> int:
        """How many with this key are inside or wait."""
        return self._demand[name]

    def clear(self) -> None:
        """Forget who waits."""
        self._lanes.clear()
        self._demand = Counter(self._held)

    def _admit(self, keys: Keys) -> None:
        # The lane goes to the end, so that every lane gets its turn.
        waiting = self._lanes.pop(keys)
        while waiting and self._has_room(keys):
            self._take(keys)
            waiting.popleft()()
        if waiting:
            self._lanes[keys] = waiting

    def _has_room(self, keys: Keys) -> bool:
        return self._inside < self._limit and all(self._held[key.name] < self.allowed(key) for key in keys)

    def _take(self, keys: Keys) -> None:
        self._inside += 1
        for key in keys:
            self._held[key.name] += 1
