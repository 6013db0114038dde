"""Limits that hold across processes: how many calls at once each worker may make to a host or for a team.

With Celery workers a limit is divided: a worker asks for as many slots of it as it has calls for, and gives back what it does not use. Slots are rows, so that
they add up to no more than the limit whoever asks when; those of a worker that is gone end with its row.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from uuid import UUID

from django.db import close_old_connections, connection, transaction

from executions.gate import Gate, Key
from executions.models import SharedLimit, Slots

log = logging.getLogger("cronsched.shares")
# How often what is held is looked at anew: unused slots are given back, others' needs are seen.
_LOOK_SECONDS = 0.25
# How soon a limit is asked for again of which all slots are taken.
_FULL_SECONDS = 0.05


class Shares:
    """This process's slots. Its gate asks `allowed` and tells of keys it lacks slots of by `lacking`; a thread sees to the rows."""

    def __init__(self, gate: Gate, worker_id: Callable[[], UUID], changed: Callable[[], None]) -> None:
        self._gate = gate
        self._worker_id = worker_id
        self._changed = changed
        self._limits: dict[str, int] = {}
        self._granted: dict[str, int] = {}
        self._of: UUID | None = None
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shares", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join()

    def allowed(self, key: Key) -> int:
        """How many may be inside at once here. What is lacking is asked for."""
        granted = self._granted.get(key.name, 0)
        if granted < key.limit and self._gate.demand(key.name) > granted:
            self._limits[key.name] = key.limit
            self._wake.set()
        return granted

    def _run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()
            try:
                close_old_connections()
                is_short = self._look()
            except Exception as exc:
                log.warning("the slots of shared limits could not be looked at, trying again: %s", exc)
                connection.close()
                is_short = True
            if is_short:
                self._over.wait(_FULL_SECONDS)
                self._wake.set()
        connection.close()

    def _look(self) -> bool:
        """Ask for what is lacking and give back what is not needed; returns whether anything is still lacking."""
        worker_id = self._worker_id()
        if worker_id != self._of:
            # Gone on as a new worker: what the old one held is free.
            self._of, self._granted = worker_id, {}
        demands = {name: self._gate.demand(name) for name in {*self._limits, *self._granted}}
        if not demands:
            return False
        granted = divide(
            worker_id, {name: (demand, self._limits[name]) for name, demand in demands.items()}, self._gate.inside
        )
        more = any(slots > self._granted.get(name, 0) for name, slots in granted.items())
        self._granted = {name: slots for name, slots in granted.items() if slots}
        for name in [name for name, demand in demands.items() if not demand and name not in self._granted]:
            self._limits.pop(name, None)
        if more:
            self._changed()
        return any(granted[name] < min(demand, self._limits.get(name, 0)) for name, demand in demands.items())


@transaction.atomic
def divide(worker_id: UUID, wanted: Mapping[str, tuple[int, int]], inside: Callable[[str], int]) -> dict[str, int]:
    """How many slots of each limit are this worker's from now on. `wanted`: how many it has calls for, and the limit, by key.

    One whose limit others wait for keeps no more than its part of it, but for what is in use (`inside`).
    """
    names = sorted(wanted)
    SharedLimit.objects.bulk_create([SharedLimit(pk=name) for name in names], ignore_conflicts=True)
    list(SharedLimit.objects.select_for_update().filter(pk__in=names).order_by("pk"))
    others: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    rows = Slots.objects.filter(limit__in=names).exclude(worker=worker_id)
    for name, count, asked in rows.values_list("limit", "count", "wanted"):
        others[name].append((count, asked))
    granted = {name: _granted(*wanted[name], others[name], inside(name)) for name in names}
    Slots.objects.bulk_create(
        [Slots(limit_id=name, worker_id=worker_id, count=granted[name], wanted=wanted[name][0]) for name in names],
        update_conflicts=True,
        unique_fields=["limit", "worker"],
        update_fields=["count", "wanted"],
    )
    return granted


def _granted(want: int, limit: int, others: list[tuple[int, int]], inside: int) -> int:
    """What is left of a limit beside what others have, or may have as their part of it."""
    part = limit // (1 + sum(asked > 0 for _, asked in others))
    free = limit - sum(count for count, _ in others)
    fair = limit - sum(max(count, min(asked, part)) for count, asked in others)
    return max(0, min(want, free, max(fair, inside)))


def forget_unused() -> None:
    """Delete the limits that no worker asks for any more."""
    Slots.objects.filter(count=0, wanted=0).delete()
    SharedLimit.objects.filter(slots=None).delete()
