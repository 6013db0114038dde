"""Limits that hold across processes: how many calls at once each worker may make to a host or for a team.

With Celery workers a limit is divided: a worker asks for as many slots of it as it has calls for, and gives back what it does not use. Slots are rows, so that
they add up to no more than the limit whoever asks when; those of a worker that is gone end with its row.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
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
    """This process's slots. Its gate asks `allowed`; a thread sees to the rows.

    While the thread looks at a limit, nobody new is let in under it: what is told of this process stays true until the rows are written.
    `on_loop` does something in the gate's event loop, and gives its result.
    """

    def __init__(self, gate: Gate, worker_id: Callable[[], UUID], on_loop: Callable[[Callable[[], Any]], Any]) -> None:
        self._gate = gate
        self._worker_id = worker_id
        self._on_loop = on_loop
        self._limits: dict[str, int] = {}
        self._allowed: dict[str, int] = {}
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
        allowed = self._allowed.get(key.name, 0)
        if allowed < key.limit and self._gate.demand(key.name) > allowed:
            self._limits[key.name] = key.limit
            self._wake.set()
        return allowed

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
        needs: dict[str, Need] = self._on_loop(self._freeze)
        if not needs:
            return False
        allowed = divide(self._worker_id(), needs)
        self._on_loop(lambda: self._thaw(allowed))
        return any(allowed[name] < min(need.demand, need.limit) for name, need in needs.items())

    def _freeze(self) -> dict[str, Need]:
        needs = {
            name: Need(self._gate.demand(name), limit, self._gate.inside(name)) for name, limit in self._limits.items()
        }
        self._allowed = dict.fromkeys(needs, 0)
        return needs

    def _thaw(self, allowed: dict[str, int]) -> None:
        self._allowed = allowed
        for name in [name for name in self._limits if not self._gate.demand(name)]:
            del self._limits[name]
            del self._allowed[name]
        self._gate.look_again()


class Need(NamedTuple):
    """What a worker has to say of a limit: how many calls it has under way or waiting, the limit, and how many are under way."""

    demand: int
    limit: int
    inside: int


@transaction.atomic
def divide(worker_id: UUID, needs: Mapping[str, Need]) -> dict[str, int]:
    """How many calls of each limit this worker may have under way from now on; what is under way already keeps its slot until it ends.

    One whose limit others wait for keeps no more than its part of it. Where there are fewer slots than workers, a slot goes round.
    """
    names = sorted(needs)
    SharedLimit.objects.bulk_create([SharedLimit(pk=name) for name in names], ignore_conflicts=True)
    list(SharedLimit.objects.select_for_update().filter(pk__in=names).order_by("pk"))
    others: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    mine: dict[str, int] = {}
    rows = Slots.objects.filter(limit__in=names).values_list("limit", "worker", "count", "wanted")
    for name, worker, count, wanted in rows:
        if worker == worker_id:
            mine[name] = count
        else:
            others[name].append((count, wanted))
    allowed = {name: _allowed(needs[name], others[name], mine.get(name, 0)) for name in names}
    held = [max(allowed[name], needs[name].inside) for name in names]
    Slots.objects.bulk_create(
        [
            Slots(limit_id=name, worker_id=worker_id, count=count, wanted=needs[name].demand)
            for name, count in zip(names, held, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["limit", "worker"],
        update_fields=["count", "wanted"],
    )
    return allowed


def _allowed(need: Need, others: list[tuple[int, int]], had: int) -> int:
    """What is left of a limit beside what others have, or may have as their part of it."""
    part = max(1, need.limit // (1 + sum(asked > 0 for _, asked in others)))
    free = need.limit - sum(count for count, _ in others)
    fair = need.limit - sum(max(count, min(asked, part)) for count, asked in others)
    if fair <= 0 < free and not had:
        # Fewer slots than workers: whoever had none takes the one that is free.
        fair = 1
    return max(0, min(need.demand, free, fair))


def forget_unused() -> None:
    """Delete the limits that no worker asks for any more."""
    Slots.objects.filter(count=0, wanted=0).delete()
    SharedLimit.objects.filter(slots=None).delete()
