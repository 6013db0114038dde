"""The statements that write outcomes to executions, their jobs and statistics, each with its transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from core.db.among import among
from core.db.bulk import insert_new, update_many
from executions import exchanges
from executions.models import OPEN, BudgetWait, Execution, PendingOutcome, Poll, Status
from executions.recording.outcomes import RAN, CallBegins, Finished, Followed, Progress
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from executions.targets import KINDS
from executions.targets.base import Outcome
from jobs.models import Job, Revision

# The first interval at which a status address is asked that names none, and the longest that one may name.
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 5.0, 24 * 3600.0
_OPEN_SQL = "({})".format(", ".join(f"'{status.value}'" for status in OPEN))


@transaction.atomic
def store(batch: list[Finished]) -> None:
    """Write outcomes to executions that are open and still belong to their worker, and to their jobs, and queue them
    for notification.
    """
    held = _held(batch)
    _note_calls([one for one in batch if one.execution_id not in held])
    # The others belong to another worker, or have ended already.
    batch = [one for one in batch if one.execution_id in held]
    if not batch:
        return
    if connection.features.has_select_for_update:
        lock_jobs({one.job_id for one in batch})
    columns = (
        "status",
        "completed_at",
        "duration_seconds",
        "response_status",
        "error_message",
        "output",
        "target",
        "attempts",
    )
    update_many(Execution, columns, ("id",), [_row(finished) for finished in batch])
    exchanges.store((one.execution_id, one.exchanged) for one in batch)
    by_outcome: defaultdict[tuple[str, datetime], list[UUID]] = defaultdict(list)
    for finished in batch:
        by_outcome[finished.status.value, finished.started_at].append(finished.job_id)
    for (status, started_at), job_ids in sorted(by_outcome.items()):
        Job.objects.filter(among(job_ids), last_execution_at=started_at).update(last_status=status)
    waited = _waits_for_budgets(batch)
    rollups.count([_ended(one, waited.get(one.execution_id, 0.0)) for one in batch])
    queue_outcomes(one.execution_id for one in batch if one.status != Status.CANCELLED)
    # Last, because every transaction that changes the job list waits for this row.
    Revision.bump()


@transaction.atomic
def correct_outcome(execution_id: UUID, outcome: Outcome, seconds: float) -> bool:
    """Change how an ended execution ended, because its work elsewhere was done again in `seconds`; returns whether it
    did. Statistics follow. Its people hear of it if it is the latest run of its job, as of any outcome.
    """
    rows = Execution.objects.select_for_update().filter(pk=execution_id).exclude(status__in=OPEN)
    one = rows.first()
    if one is None:
        return False
    before, status = Status(one.status), Status.SUCCESS if outcome.ok else Status.FAILED
    took = (one.duration_seconds or 0.0) + seconds
    old = Ended(one.job_id, one.execution_type, one.started_at, before, one.duration_seconds)
    lock_jobs({one.job_id})
    rows.update(
        status=status,
        completed_at=timezone.now(),
        duration_seconds=took,
        error_message=outcome.error,
        output=outcome.output,
    )
    rollups.move(old, old._replace(status=status, seconds=took))
    Job.objects.filter(pk=one.job_id, last_execution_at=one.started_at).update(last_status=status)
    newer = Execution.objects.filter(job=one.job_id, started_at__gt=one.started_at, status__in=RAN)
    if status != before and not newer.exists():
        queue_outcomes([one.pk])
    Revision.bump()
    return True


def queue_outcomes(ids: Iterable[UUID]) -> None:
    """Queue ended executions for notification, in the transaction that ends them."""
    insert_new(PendingOutcome, ("execution_id", "problem"), [(one, "") for one in ids])


def lock_jobs(job_ids: Iterable[UUID]) -> None:
    """Lock jobs in the order in which firing does, and before their rollups, to avoid deadlocks."""
    locked = Job.objects.filter(among(job_ids)).order_by("next_run_at", "id").select_for_update(of=("self",))
    list(locked.values_list("pk", flat=True))


def _held(batch: list[Finished]) -> set[UUID]:
    """The executions of these outcomes that are open and belong to their worker, locked."""
    by_worker: defaultdict[UUID | None, list[UUID]] = defaultdict(list)
    for one in batch:
        by_worker[one.worker_id].append(one.execution_id)
    held: set[UUID] = set()
    for worker_id, ids in by_worker.items():
        rows = Execution.objects.filter(among(ids), status__in=OPEN, worker_id=worker_id)
        held.update(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
    return held


def _waits_for_budgets(batch: list[Finished]) -> dict[UUID, float]:
    """The seconds for which the budget of a credential let executions wait."""
    budgeted = {kind.kind for kind in KINDS if kind.has_budget}
    dispatched = [one.execution_id for one in batch if one.kind in budgeted]
    if not dispatched:
        return {}
    waits = BudgetWait.objects.filter(among(dispatched), seconds__isnull=False)
    return {pk: seconds or 0.0 for pk, seconds in waits.values_list("pk", "seconds")}


def _ended(one: Finished, waited: float) -> Ended:
    return Ended(one.job_id, one.kind, one.started_at, one.status, one.duration_seconds, _fire_lag(one, waited))


def _fire_lag(one: Finished, waited: float) -> float | None:
    """Seconds from the fire time to the first call, without the job's own jitter and what it waited for a budget; None
    for a manual run or if no call was made.
    """
    if one.scheduled_for is None or not one.attempts:
        return None
    first = datetime.fromisoformat(one.attempts[0]["started_at"])
    return max(0.0, (first - one.scheduled_for).total_seconds() - one.jitter - waited)


def note(batch: list[Progress]) -> None:
    """Write the attempts of executions that continue, and that no call of them is under way."""
    rows = [(item.attempts, None, item.execution_id, item.worker_id) for item in batch]
    columns = ("attempts", "call_began_at")
    update_many(Execution, columns, ("id", "worker_id"), rows, condition=f"AND status IN {_OPEN_SQL}")


def mark_calls(batch: list[CallBegins]) -> None:
    """Write that calls begin, and tell the engine which of them it may make."""
    for worker_id in {item.worker_id for item in batch}:
        mine = [item for item in batch if item.worker_id == worker_id]
        ids = among(item.execution_id for item in mine)
        held = Execution.objects.filter(ids, worker_id=worker_id, status=Status.RUNNING)
        held.update(call_began_at=timezone.now())
        kept = set(held.filter(call_began_at__isnull=False).order_by().values_list("pk", flat=True))
        for item in mine:
            item.told(item.execution_id in kept)


@transaction.atomic
def store_followed(batch: list[Followed]) -> None:
    """Write the runs that are followed from here on, and the status addresses of those that are polled."""
    columns = ("run_id", "run_url", "response_status", "output", "target", "attempts", "worker_id", "call_began_at")
    rows = [
        (
            one.run.id,
            one.run.url,
            one.response_status,
            one.output,
            one.target,
            one.attempts,
            None,
            None,
            one.execution_id,
            one.worker_id,
        )
        for one in batch
    ]
    update_many(Execution, columns, ("id", "worker_id"), rows, condition=f"AND status IN {_OPEN_SQL}")
    exchanges.store((one.execution_id, one.exchanged) for one in batch)
    _note_calls(batch)
    _add_polls([one for one in batch if one.run.poll_url])


def _add_polls(batch: list[Followed]) -> None:
    if not batch:
        return
    # The others belong to another worker by now, or have ended.
    awaited = Execution.objects.awaited().filter(among(one.execution_id for one in batch), worker_id=None)
    ours, now = set(awaited.values_list("pk", flat=True)), timezone.now()
    rows = [
        (
            one.execution_id,
            one.run.poll_url,
            now + timedelta(seconds=min(one.ask_after or FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS)),
            FIRST_POLL_SECONDS,
        )
        for one in batch
        if one.execution_id in ours
    ]
    insert_new(Poll, ("execution", "url", "next_at", "wait_seconds"), rows)


def _note_calls(batch: Sequence[Finished | Followed]) -> None:
    """Write the calls of executions that ended otherwise while they were made, such as by a callback of their
    receiver.
    """
    made = {(one.execution_id, one.worker_id): one for one in batch if one.exchanged}
    if not made:
        return
    ended = Execution.objects.filter(among(pk for pk, _ in made)).exclude(status__in=OPEN).order_by()
    late = [made[key] for key in ended.values_list("pk", "worker_id") if key in made]
    update_many(Execution, ("attempts",), ("id",), [(one.attempts, one.execution_id) for one in late])
    exchanges.store((one.execution_id, one.exchanged) for one in late)


def _row(finished: Finished) -> tuple[Any, ...]:
    outcome = finished.outcome
    return (
        finished.status.value,
        finished.completed_at,
        finished.duration_seconds,
        outcome.response_status,
        outcome.error,
        outcome.output,
        finished.target,
        finished.attempts,
        finished.execution_id,
    )
