"""Test runs of a target that need not be stored, and the request that one would send."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from audit import events
from audit.events import Event
from core.api import payload
from core.api.errors import TooManyRequests, invalid_field
from executions import budgets
from executions.budgets import Budget
from executions.delivery.caller import Asked, local_caller
from executions.exchanges import Exchanged
from executions.http.client import Request
from executions.http.connection import DeliveryError
from executions.models import TriggerType
from executions.targets import Call, Deliverable, DeliverableTarget, Outcome, Send, deliverable
from executions.targets.lookup import looked_up
from jobs import content, request_rules, validation
from jobs.content import Content
from jobs.models import Job
from jobs.targets import parsing

# In this process. They hold no thread of the web server, but memory and sockets.
_AT_ONCE = 50
_lock = threading.Lock()
_trying: set[UUID] = set()


class Trial(NamedTuple):
    """A test run: the body of the API's answer, the last call with what came back (None if none was made), and its
    seconds.
    """

    answer: dict[str, Any]
    exchanged: Exchanged | None
    seconds: float


class _Prepared(NamedTuple):
    """A target and a request that need not be stored, with the variables put in."""

    job: Job
    target: DeliverableTarget
    content: Content


def _prepare(data: Mapping[str, Any], *, by: User, execution_id: UUID, moment: dt.datetime, trigger: str) -> _Prepared:
    """Read the target and the request of a test run. Raises a `DomainError` for what is invalid."""
    target = parsing.read_target(data, default_owner=settings.DEFAULT_GITHUB_OWNER)
    job = Job(metadata=validation.metadata(data.get("metadata")), **validation.request(data))
    job.name = payload.text(data.get("name"), "name", limit=255)
    if target is None:
        raise parsing.missing_target()
    if data.get("pic_team"):
        job.pic_team = validation.pic_team(data["pic_team"])
    deliverable(target).check_credential(None, job.pic_team_id, by)
    request_rules.check(job, target, by=by)
    values = content.values_of(
        job, execution_id=str(execution_id), trigger=trigger, scheduled_for=moment, succeeded_for=moment
    )
    rendered = content.render(job, target, Content.of(job), values)
    return _Prepared(job, deliverable(rendered.target), rendered.content)


def example(data: Mapping[str, Any], moment: dt.datetime, *, by: User) -> Request:
    """The request of a fire time, with placeholders for secrets; it is not sent. `data`: as for `try_target`."""
    execution_id = uuid4()
    job, target, sent = _prepare(data, by=by, execution_id=execution_id, moment=moment, trigger=TriggerType.SCHEDULED)
    call = Call(execution_id, scheduled_for=moment, trigger=TriggerType.SCHEDULED)
    return target.delivery(sent.readable(), job).example(call)


def try_target(data: Mapping[str, Any], *, by: User) -> Future[Trial]:
    """Start to call a target once with a job's settings (a test run); the audit trail says who called what. Raises
    `Too many test runs`, and `Rate limit reached` while GitHub asks to be left alone.
    """
    execution_id = uuid4()
    job, tried, sent = _prepare(data, by=by, execution_id=execution_id, moment=timezone.now(), trigger="test")
    timeout = _timeout(data.get("timeout_seconds"))
    trial: Future[Trial] = Future()
    budget = tried.budget(job)
    if budget:
        _heed_pause(job.github_credential_id)
    _take_place(by.pk)
    try:
        events.note(Event.TEST_RUN, tried.shown(), by=by, kind=tried.kind)
        began = time.perf_counter()
        deliver = partial(_deliver, tried.trial(sent, job), budget, Call(execution_id, trigger="test"))
        asked = local_caller().ask(deliver, timeout)
    except BaseException:
        _give_place_back(by.pk)
        raise

    def end(asked: Future[Asked]) -> None:
        _give_place_back(by.pk)
        try:
            trial.set_result(_read(tried, asked, time.perf_counter() - began))
        except BaseException as exc:
            trial.set_exception(exc)

    asked.add_done_callback(end)
    return trial


def _heed_pause(credential_id: UUID | None) -> None:
    if until := budgets.blocked_until([credential_id]).get(credential_id):
        raise TooManyRequests(
            "Rate limit reached",
            f"GitHub asks to be left alone until {until.astimezone(settings.SCHEDULER_ZONE):%m-%d %H:%M:%S %Z}.",
            retry_after=max(1, ceil((until - timezone.now()).total_seconds())),
        )


async def _deliver(deliverable: Deliverable, budget: Budget | None, call: Call, send: Send) -> Outcome:
    """Call once; a pause that the answer asks for holds for everything that uses the credential."""
    outcome = await deliverable.deliver(send, call)
    if outcome.pause and budget:
        with suppress(DeliveryError):
            await looked_up(partial(budgets.pause, budget, outcome.pause), "the budget of the GitHub credential")
    return outcome


def _read(tried: DeliverableTarget, asked: Future[Asked], seconds: float) -> Trial:
    answer: dict[str, Any] = {"ok": False, "type": tried.short_name}
    try:
        outcome, exchanged = asked.result()
    except DeliveryError as exc:
        return Trial({**answer, "error": "Request failed", "message": str(exc)}, None, seconds)
    if outcome.response_status is None:
        answer |= {"error": tried.unsent, "message": outcome.error}
    else:
        message = tried.trial_message(outcome)
        answer |= {"ok": outcome.ok, "status_code": outcome.response_status, "message": message}
    return Trial(answer, exchanged, seconds)


def _take_place(user: UUID) -> None:
    """One test run at a time for a user, and a number in all. Raises `Too many test runs`."""
    with _lock:
        if user in _trying or len(_trying) >= _AT_ONCE:
            raise TooManyRequests("Too many test runs", "Wait until the ones under way have ended.", retry_after=5)
        _trying.add(user)


def _give_place_back(user: UUID) -> None:
    with _lock:
        _trying.discard(user)


def _timeout(value: Any) -> float:
    if value is None:
        return float(settings.WEBHOOK_TIMEOUT_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 30:
        raise invalid_field("timeout_seconds", "'timeout_seconds' must be a number from 1 to 30.")
    return float(value)
