"""The deliveries that an engine holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from executions.delivery.state import DeliveryState


class Register:
    """The deliveries that are carried out, by execution, and the executions that are being claimed. Any thread may ask
    and change it.
    """

    def __init__(self) -> None:
        self._states: dict[UUID, DeliveryState] = {}
        # The latest fire time of each job among the deliveries that have a start deadline, and how many there are.
        self._newest: dict[UUID, tuple[datetime, int]] = {}
        self._claiming: set[UUID] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def add(self, states: Sequence[DeliveryState]) -> None:
        with self._lock:
            for state in states:
                delivery = state.delivery
                if earlier := self._states.get(delivery.execution_id):
                    earlier.is_held = False
                self._states[delivery.execution_id] = state
                state.is_held = True
                if delivery.deadline:
                    newest, count = self._newest.get(delivery.job_id, (delivery.deadline.fire_time, 0))
                    self._newest[delivery.job_id] = max(delivery.deadline.fire_time, newest), count + 1

    def get(self, execution_id: UUID) -> DeliveryState | None:
        return self._states.get(execution_id)

    def newest_fire_time(self, job_id: UUID) -> datetime:
        """The latest fire time of the job's deliveries that have a start deadline; there is one."""
        return self._newest[job_id][0]

    def drop(self, state: DeliveryState) -> None:
        delivery = state.delivery
        with self._lock:
            if state.is_held:
                state.is_held = False
                del self._states[delivery.execution_id]
            if delivery.deadline and not state.is_forgotten:
                state.is_forgotten = True
                newest, count = self._newest[delivery.job_id]
                if count > 1:
                    self._newest[delivery.job_id] = newest, count - 1
                else:
                    del self._newest[delivery.job_id]

    @contextmanager
    def claiming(self, ids: Iterable[UUID]) -> Iterator[None]:
        """Count executions as held while they are being claimed and submitted."""
        mine = set(ids)
        with self._lock:
            self._claiming |= mine
        try:
            yield
        finally:
            with self._lock:
                self._claiming -= mine

    def ids(self) -> set[UUID]:
        """The executions that are claimed or carried out."""
        with self._lock:
            return set(self._states) | self._claiming

    def states(self) -> list[DeliveryState]:
        with self._lock:
            return list(self._states.values())

    def phases(self) -> dict[str, int]:
        """The number of executions in each phase."""
        return dict(Counter(state.phase.value for state in self.states()))
