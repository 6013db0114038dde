"""Decides who hears about outcomes after these are stored and committed.

The transaction that ends an execution also queues it (`PendingOutcome`). Here the queue is read in transactions of
their own, so that an error neither takes an outcome back nor delays one, and a crash loses no notification. If a
batch fails, each of its outcomes is tried alone; one that fails is set aside with the reason, and admins see it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from core.db.locks import try_lock
from core.db.turns import write_turn
from executions.models import PendingOutcome
from executions.recording.outcomes import stored
from notifications.routing import notify_outcomes

log = logging.getLogger("cronsched.notifications")
BATCH = 500
_LOCK = 7_461_001


def on_outcomes_queued(sender: Any, **_: Any) -> bool:
    """Receive `outcomes_queued`: decide about one batch; returns whether more may be waiting."""
    return notify_pending() == BATCH


def notify_pending() -> int:
    """Decide about the oldest queued outcomes, at most `BATCH`; returns how many. Any process may call it."""
    waiting = PendingOutcome.objects.filter(problem="").order_by("pk")
    if not waiting.exists():
        return 0
    with write_turn(), transaction.atomic():
        # One process at a time and in order: a job's failing period depends on the order of its outcomes.
        if not try_lock(_LOCK):
            return 0
        pending = list(waiting.values_list("pk", "execution_id")[:BATCH])
        try:
            with transaction.atomic():
                notify_outcomes(stored([execution_id for _, execution_id in pending]))
            bad = set()
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("notifications about a batch of outcomes failed: trying each alone")
            bad = _notify_each(pending)
        PendingOutcome.objects.filter(pk__in=[pk for pk, _ in pending if pk not in bad]).delete()
    return len(pending)


def _notify_each(pending: Sequence[tuple[int, UUID]]) -> set[int]:
    """Decide about each outcome alone; returns the rows that were set aside."""
    bad: set[int] = set()
    for pk, execution_id in pending:
        try:
            with transaction.atomic():
                notify_outcomes(stored([execution_id]))
        except (OperationalError, InterfaceError):
            raise
        except Exception as exc:
            log.exception("an outcome is set aside", extra={"execution": str(execution_id)})
            PendingOutcome.objects.filter(pk=pk).update(problem=f"{type(exc).__name__}: {exc}"[:500])
            bad.add(pk)
    return bad
