"""Polls the status addresses of work that ends later (RFC 7240 section 4.1): 202 says that it goes on, and every other
answer is judged like the answer of a call.

When each is asked next is in the database, so after a restart or a change of leader polling continues.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from yarl import URL

from core.api.errors import DomainError
from executions.delivery.caller import Asked, local_caller
from executions.delivery.carry_out import UNREADABLE, deliverable_of, unreadable
from executions.delivery.state import tries_in
from executions.exchanges import Exchanged
from executions.http.connection import DeliveryError
from executions.http.retry_after import retry_after
from executions.models import Exchange, Execution, Poll, Status
from executions.recording.outcomes import Finished
from executions.recording.storage import LONGEST_POLL_SECONDS, store
from executions.targets import Call, Outcome, Webhook

log = logging.getLogger("cronsched.polls")
LATEST_SECONDS = 60.0
_SLOWER = 1.5
# Answers of a server that cannot say now how the work goes on.
_ASK_AGAIN = frozenset([429, 502, 503, 504])
# Questions that are open at a time: a host that hangs delays no other.
_AT_ONCE, _AT_ONCE_A_HOST, _LOOKED_AT = 200, 10, 1000
_LONGEST_CALL_SECONDS = 30


class Poller:
    """Asks the status addresses that are due. One thread calls `poll` about once a second; it waits for no answer."""

    def __init__(self) -> None:
        self._asked: dict[UUID, _Question] = {}

    def poll(self) -> int:
        """Store the answers that have come, and ask the addresses that are due; returns how many executions ended."""
        ended = sum(self._settle(pk) for pk, asked in list(self._asked.items()) if asked.answer.done())
        if len(self._asked) < _AT_ONCE:
            self._ask_due()
        return ended

    def _ask_due(self) -> None:
        due = Poll.objects.filter(next_at__lte=timezone.now()).exclude(pk__in=list(self._asked)).order_by("next_at")
        ids = list(due.values_list("pk", flat=True)[:_LOOKED_AT])
        executions = Execution.objects.filter(status=Status.RUNNING).select_related("job").in_bulk(ids)
        Poll.objects.filter(pk__in=[pk for pk in ids if pk not in executions]).delete()
        at_hosts = Counter(asked.host for asked in self._asked.values())
        for execution in executions.values():
            try:
                # One by one: a row that cannot be read stops no other.
                poll = Poll.objects.get(pk=execution.pk)
                webhook = _webhook(execution)
                host = URL(poll.url).authority
            except (*UNREADABLE, DomainError) as exc:
                _end(execution, Outcome(False, error=unreadable(exc)), None)
                continue
            if len(self._asked) < _AT_ONCE and at_hosts[host] < _AT_ONCE_A_HOST:
                at_hosts[host] += 1
                self._asked[poll.pk] = _Question(poll, execution, host, _asked(poll, execution, webhook))

    def _settle(self, pk: UUID) -> int:
        """Store an answer; returns 1 if the execution has ended by it."""
        poll, execution, _, answer = self._asked.pop(pk)
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
            _later(poll, "", wait=retry_after(outcome.retry_after), address=outcome.run.poll_url)
        elif not outcome.ok and outcome.response_status in _ASK_AGAIN:
            _later(poll, outcome.error, wait=retry_after(outcome.retry_after))
        else:
            return _end(execution, outcome, exchanged)
        return 0


class _Question(NamedTuple):
    """A status address that was asked: of which host, and the answer to come."""

    poll: Poll
    execution: Execution
    host: str
    answer: Future[Asked]


def _asked(poll: Poll, execution: Execution, webhook: Webhook) -> Future[Asked]:
    call = Call(execution.pk, 1 + tries_in(execution.attempts), execution.scheduled_for, execution.trigger_type)
    timeout = min(execution.job.timeout_seconds, _LONGEST_CALL_SECONDS)
    return local_caller().ask(partial(webhook.poll, call=call, address=poll.url), timeout)


def _webhook(execution: Execution) -> Webhook:
    deliverable = deliverable_of(execution)
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


@transaction.atomic
def _end(execution: Execution, outcome: Outcome, exchanged: Exchanged | None) -> int:
    if exchanged:
        # The record is of the last call.
        Exchange.objects.filter(pk=execution.pk).delete()
    store([Finished.of(execution, outcome, None)._replace(exchanged=exchanged)])
    return Poll.objects.filter(pk=execution.pk).delete()[0]
