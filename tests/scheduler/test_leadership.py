"""A model of leadership, firing and recovery, explored in full for two schedulers and two fire times.

Steps are as small as the product's transactions: taking over, firing (check of the fence and inserts together),
storing an outcome, recovering. In between, anything may happen: a process is killed or stopped and goes on, the lease
runs out, a fire time comes due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

import pytest

Life = Literal["up", "stopped"]
PROCESSES = (0, 1)
MOST_KILLS = 2


class Process(NamedTuple):
    """What one scheduler is and believes: the token it leads with (0: standby), and which fire times it has calls
    for.
    """

    life: Life = "up"
    token: int = 0
    incarnation: int = 0
    has_lock: bool = False
    calls: frozenset[int] = frozenset()


class Row(NamedTuple):
    """An execution: the (process, incarnation) that carries it out, how it is, how often its call left."""

    owner: tuple[int, int]
    done: bool = False
    calls: int = 0


class State(NamedTuple):
    processes: tuple[Process, Process] = (Process(), Process())
    token: int = 0
    holder: int | None = None
    holder_has_lock: bool = False
    lease_valid: bool = False
    due: int = 0
    rows: tuple[Row | None, Row | None] = (None, None)
    kills: int = 0

    def with_process(self, p: int, **changes: object) -> State:
        processes = list(self.processes)
        processes[p] = processes[p]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(processes=tuple(processes))

    def with_row(self, number: int, row: Row) -> State:
        rows = list(self.rows)
        rows[number] = row
        return self._replace(rows=tuple(rows))


def steps(state: State) -> Iterator[State]:
    if state.due < len(state.rows):
        yield state._replace(due=state.due + 1)
    if state.lease_valid:
        yield state._replace(lease_valid=False)
    for p in PROCESSES:
        yield from _life(state, p)
        if state.processes[p].life == "up":
            yield from _lead(state, p)
            yield from _deliver(state, p)


def _life(state: State, p: int) -> Iterator[State]:
    process = state.processes[p]
    if process.life == "up":
        yield state.with_process(p, life="stopped")
    else:
        yield state.with_process(p, life="up")
    if state.kills < MOST_KILLS:
        fresh = Process(incarnation=process.incarnation + 1)
        processes = list(state.processes)
        processes[p] = fresh
        yield state._replace(processes=tuple(processes), kills=state.kills + 1)


def _lead(state: State, p: int) -> Iterator[State]:
    process = state.processes[p]
    lock_is_free = not any(other.has_lock for other in state.processes)
    if process.token == 0:
        has_lock = lock_is_free or process.has_lock
        held = state.holder is not None and state.lease_valid
        if not held or (has_lock and state.holder_has_lock):
            taken = state.with_process(p, token=state.token + 1, has_lock=has_lock)
            yield taken._replace(token=state.token + 1, holder=p, holder_has_lock=has_lock, lease_valid=True)
        return
    if process.token != state.token:
        # Every transaction of a leader checks the fence: it steps down, and fires nothing.
        yield state.with_process(p, token=0, has_lock=False)
        return
    if not process.has_lock and lock_is_free:
        yield state.with_process(p, has_lock=True)._replace(holder_has_lock=True, lease_valid=True)
    fresh = [n for n in range(state.due) if state.rows[n] is None]
    if fresh:
        fired = state._replace(lease_valid=True)
        for n in fresh:
            fired = fired.with_row(n, Row((p, process.incarnation)))
        yield fired.with_process(p, calls=process.calls | frozenset(fresh))
    for n, row in enumerate(state.rows):
        if row and not row.done and _is_dead(state, row.owner):
            mine = state.with_row(n, row._replace(owner=(p, process.incarnation)))
            yield mine.with_process(p, calls=process.calls | {n})


def _deliver(state: State, p: int) -> Iterator[State]:
    process = state.processes[p]
    for n in process.calls:
        row = state.rows[n]
        assert row is not None
        called = state.with_process(p, calls=process.calls - {n})
        if row.owner != (p, process.incarnation) or row.done:
            yield called
        else:
            yield called.with_row(n, row._replace(done=True, calls=row.calls + 1))


def _is_dead(state: State, owner: tuple[int, int]) -> bool:
    p, incarnation = owner
    process = state.processes[p]
    return process.incarnation != incarnation or process.life == "stopped"


def explore() -> dict[State, list[State]]:
    """Every state that can come about, with those from which it comes."""
    start = State()
    before: dict[State, list[State]] = {start: []}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for following in steps(state):
            if following.token > 5:
                continue
            if following not in before:
                before[following] = []
                queue.append(following)
            before[following].append(state)
    return before


@pytest.mark.long
def test_no_step_breaks_a_promise_and_nothing_is_lost_for_ever() -> None:
    before = explore()
    print(f"{len(before)} states, {sum(map(len, before.values()))} steps")
    assert len(before) > 10_000
    for state, sources in before.items():
        leading = [p for p in state.processes if p.token and p.token == state.token]
        assert len(leading) <= 1, "two lead with the newest token"
        for source in sources:
            for old, new in zip(source.rows, state.rows, strict=True):
                assert old is None or new is not None, "a stored execution is gone"
                assert not (old and old.done) or old == new, "an outcome was overwritten"
                if old is None and new is not None:
                    owner = source.processes[new.owner[0]]
                    assert owner.token == source.token, "a void token fired"
    good = [s for s in before if s.due == 2 and all(row and row.done for row in s.rows)]
    can_end_well = set(good)
    queue = deque(good)
    while queue:
        for source in before[queue.popleft()]:
            if source not in can_end_well:
                can_end_well.add(source)
                queue.append(source)
    stuck = [s for s in before if s not in can_end_well and s.token < 4]
    assert not stuck, f"from {stuck[0]} not every fire time can be carried out"
