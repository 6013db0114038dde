"""Concurrency limits of a host or a team that several Celery workers share.

A shared limit is divided: a worker asks for as many slots as it has calls for, and gives back the slots that it does
not use. Allocations are rows, so their sum never exceeds the limit, whichever workers ask and when. The allocations
of a dead worker are deleted with its row.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import close_old_connections, connection, transaction

from executions.delivery.concurrency import Limit, Limiter
from executions.models import LimitAllocation, SharedLimit

log = logging.getLogger("cronsched.shared_limits")

# Interval of the refresh in which unused slots are given back and the demand of other workers is read.
_REFRESH_SECONDS = 0.25
# Interval while this worker has calls waiting for a limit whose slots are all allocated.
_STARVED_SECONDS = 0.05


class SharedLimits:
    """This process's allocations. Its limiter asks `allowed`; a thread keeps the rows.

    During a refresh of a limit the local allowance is 0, so no call starts between reading our usage and writing it
    to the database. `run_in_loop` runs a function in the limiter's event loop and returns its result.
    """

    def __init__(
        self, limiter: Limiter, worker_id: Callable[[], UUID], run_in_loop: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._limiter = limiter
        self._worker_id = worker_id
        self._run_in_loop = run_in_loop
        self._limits: dict[str, int] = {}
        self._allowed: dict[str, int] = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shared_limits", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join()

    def allowed(self, limit: Limit) -> int:
        """Concurrent calls that this process may make under a limit; requests more slots if calls wait."""
        allowed = self._allowed.get(limit.name, 0)
        if allowed < limit.size and self._limiter.demand(limit.name) > allowed:
            self._limits[limit.name] = limit.size
            self._wake.set()
        return allowed

    def _run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(_REFRESH_SECONDS)
            self._wake.clear()
            try:
                close_old_connections()
                is_starved = self._refresh()
            except Exception as exc:
                log.warning("shared limits could not be refreshed, trying again: %s", exc)
                connection.close()
                is_starved = True
            if is_starved:
                self._over.wait(_STARVED_SECONDS)
                self._wake.set()
        connection.close()

    def _refresh(self) -> bool:
        """Request missing slots and give unused ones back; returns whether calls still wait for slots."""
        demands: dict[str, Demand] = self._run_in_loop(self._freeze)
        if not demands:
            return False
        allowed = allocate(self._worker_id(), demands)
        self._run_in_loop(lambda: self._thaw(allowed))
        return any(allowed[name] < min(demand.calls, demand.size) for name, demand in demands.items())

    def _freeze(self) -> dict[str, Demand]:
        demands = {
            name: Demand(self._limiter.demand(name), size, self._limiter.held(name))
            for name, size in self._limits.items()
        }
        self._allowed = dict.fromkeys(demands, 0)
        return demands

    def _thaw(self, allowed: dict[str, int]) -> None:
        self._allowed = dict(allowed)
        for name in [name for name in self._limits if not self._limiter.demand(name)]:
            del self._limits[name]
            # A limit that was asked for since the freeze has no allowance yet.
            self._allowed.pop(name, None)
        self._limiter.start_waiting()


class Demand(NamedTuple):
    """A worker's demand for one limit: calls that run or wait, the size of the limit, and calls that run."""

    calls: int
    size: int
    running: int


@transaction.atomic
def allocate(worker_id: UUID, demands: Mapping[str, Demand]) -> dict[str, int]:
    """The number of concurrent calls that this worker may make under each limit from now on.

    A running call keeps its slot until it ends. If other workers are waiting, a worker is cut to an equal share. If
    the limit is smaller than the number of workers, slots rotate between them.
    """
    names = sorted(demands)
    SharedLimit.objects.bulk_create([SharedLimit(pk=name) for name in names], ignore_conflicts=True)
    list(SharedLimit.objects.select_for_update().filter(pk__in=names).order_by("pk"))
    others: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    mine: dict[str, int] = {}
    rows = LimitAllocation.objects.filter(limit__in=names).values_list("limit", "worker", "count", "wanted")
    for name, worker, count, wanted in rows:
        if worker == worker_id:
            mine[name] = count
        else:
            others[name].append((count, wanted))
    allowed = {name: _allowed(demands[name], others[name], mine.get(name, 0)) for name in names}
    held = [max(allowed[name], demands[name].running) for name in names]
    LimitAllocation.objects.bulk_create(
        [
            LimitAllocation(limit_id=name, worker_id=worker_id, count=count, wanted=demands[name].calls)
            for name, count in zip(names, held, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["limit", "worker"],
        update_fields=["count", "wanted"],
    )
    return allowed


def _allowed(demand: Demand, others: list[tuple[int, int]], had: int) -> int:
    """The slots that other workers neither hold nor may claim as their equal share."""
    share = max(1, demand.size // (1 + sum(wanted > 0 for _, wanted in others)))
    free = demand.size - sum(count for count, _ in others)
    fair = demand.size - sum(max(count, min(wanted, share)) for count, wanted in others)
    if fair <= 0 < free and not had:
        # Fewer slots than workers: a worker without a slot takes the free one.
        fair = 1
    return max(0, min(demand.calls, free, fair))


def delete_unused() -> None:
    """Delete the limits that no worker uses."""
    LimitAllocation.objects.filter(count=0, wanted=0).delete()
    SharedLimit.objects.filter(allocations=None).delete()
