"""How much may be under way at once: in all, and for each key (a host, a PIC team)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping

Key = tuple[str, Hashable]
Keys = tuple[Key, ...]


class Gate:
    """Lets callers in while there is room, and keeps the others waiting, in order within each set of keys.

    `limit` is for all together; `limits` gives the limit of a kind of key, where a key is `(kind, name)`. Not for several
    threads: it lives in one event loop.
    """

    def __init__(self, limit: int, limits: Mapping[str, int]) -> None:
        self._limit = limit
        self._limits = limits
        self._inside = 0
        self._held: Counter[Key] = Counter()
        self._lanes: dict[Keys, deque[Callable[[], object]]] = {}

    def enter(self, keys: Keys, start: Callable[[], object]) -> None:
        """Call `start` now if there is room for `keys`, else as soon as there is. Each entry needs one `leave`."""
        if keys not in self._lanes and self._has_room(keys):
            self._take(keys)
            start()
        else:
            self._lanes.setdefault(keys, deque()).append(start)

    def leave(self, keys: Keys) -> None:
        """Give the room back and let in whoever fits."""
        self._inside -= 1
        for key in keys:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        for lane in list(self._lanes) if self._lanes else ():
            if self._inside >= self._limit:
                return
            self._admit(lane)

    def clear(self) -> list[Callable[[], object]]:
        """Forget who waits; returns them."""
        waiting = [start for lane in self._lanes.values() for start in lane]
        self._lanes.clear()
        return waiting

    def _admit(self, keys: Keys) -> None:
        # The lane goes to the end, so that every lane gets its turn.
        waiting = self._lanes.pop(keys)
        while waiting and self._has_room(keys):
            self._take(keys)
            waiting.popleft()()
        if waiting:
            self._lanes[keys] = waiting

    def _has_room(self, keys: Keys) -> bool:
        return self._inside < self._limit and all(self._held[key] < self._limits[key[0]] for key in keys)

    def _take(self, keys: Keys) -> None:
        self._inside += 1
        self._held.update(keys)
