"""Polls the status addresses of work that ends later (RFC 7240 section 4.1): 202 says that it goes on, and every other
answer is judged like the answer of a call.

When each is asked next is in the database, so after a restart or a change of leader polling continues.
"""

from __future__ import annotations

import datetime as dt
import logging
from concurrent.futures import Future
from functools import partial
from uuid import UUID

from django.utils import timezone

from executions import exchanges
from executions.delivery import engine
from executions.delivery.carry_out import target_of
from executions.delivery.engine import Asked
from executions.delivery.retry import retry_after
from executions.http.connection import DeliveryError
from executions.models import Execution, Poll, Status
from executions.recording import LONGEST_POLL_SECONDS, Finished, store
from executions.targets import Call, Outcome, Webhook
from jobs.content import Content

log = logging.getLogger("cronsched.polls")
LATEST_SECONDS = 60.0
_SLOWER = 1.5
# Answers of a server that cannot say now how the work goes on.
_ASK_AGAIN = frozenset([429, 502, 503, 504])
_AT_ONCE = 200


class Poller:
    """Asks the status addresses that are due. One thread calls `poll` about once a second; it waits for no answer."""

    def __init__(self) -> None:
        self._asked: dict[UUID, tuple[Poll, Future[Asked]]] = {}

    def poll(self) -> int:
        """Store the answers that have come, and ask the addresses that are due; returns how many executions ended."""
        ended = sum(self._settle(pk) for pk, (_, answer) in list(self._asked.items()) if answer.done())
        due = Poll.objects.filter(next_at__lte=timezone.now()).exclude(pk__in=list(self._asked)).order_by("next_at")
        for poll in due.select_related("execution__job")[: _AT_ONCE - len(self._asked)]:
            self._ask(poll)
        return ended

    def _ask(self, poll: Poll) -> None:
        execution = poll.execution
        if execution.status != Status.RUNNING:
            poll.delete()
            return
        try:
            webhook = _webhook(execution)
        except ValueError as exc:
            _end(execution, Outcome(False, error=f"what is stored of the job cannot be carried out: {exc}"), None)
            return
        call = Call(execution.pk, max(1, len(execution.attempts)), execution.scheduled_for, execution.trigger_type)
        ask = partial(webhook.poll, call=call, address=poll.url)
        timeout = execution.job.timeout_seconds
        self._asked[poll.pk] = poll, engine.local_engine().ask(lambda send: ask(send), timeout)

    def _settle(self, pk: UUID) -> int:
        """Store an answer; returns 1 if the execution has ended by it."""
        poll, answer = self._asked.pop(pk)
        try:
            outcome, exchanged = answer.result()
        except DeliveryError as exc:
            if exc.failure:
                _later(poll, str(exc))
                return 0
            outcome, exchanged = Outcome(False, error=str(exc)), None
        except Exception:
            log.exception("a status address could not be asked, trying again")
            _later(poll, "internal error")
            return 0
        if outcome.run:
            wait = retry_after(outcome.retry_after)
            _later(poll, "", wait=wait, address=outcome.run.poll_url)
        elif not outcome.ok and outcome.response_status in _ASK_AGAIN:
            _later(poll, outcome.error, wait=retry_after(outcome.retry_after))
        else:
            return _end(poll.execution, outcome, exchanged)
        return 0


def _webhook(execution: Execution) -> Webhook:
    job = execution.job
    deliverable = target_of(execution).delivery(Content.of_stored(job, execution.overrides or {}), job)
    if not isinstance(deliverable, Webhook):
        raise ValueError("it is no webhook")
    return deliverable


def _later(poll: Poll, problem: str, *, wait: float = 0, address: str = "") -> None:
    """Ask again after what the address asks for, or a little later than the last time."""
    if not wait:
        poll.wait_seconds = min(poll.wait_seconds * _SLOWER, LATEST_SECONDS)
    pause = min(wait or poll.wait_seconds, LONGEST_POLL_SECONDS)
    poll.next_at = timezone.now() + dt.timedelta(seconds=pause)
    poll.problem = problem[:300]
    poll.url = address or poll.url
    poll.save(update_fields=["wait_seconds", "next_at", "problem", "url"])


def _end(execution: Execution, outcome: Outcome, exchanged: exchanges.Exchanged | None) -> int:
    store([Finished.of(execution, outcome, None)._replace(exchanged=exchanged)])
    return Poll.objects.filter(pk=execution.pk).delete()[0]
