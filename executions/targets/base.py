"""The base class of target kinds: what is sent, what the answer means, how it is shown and checked."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol
from uuid import UUID

from core.api.errors import Conflict
from core.findings import Finding
from executions.budgets import Budget, Pause
from executions.http.client import Request
from executions.http.connect import Origin
from executions.http.connection import Reply
from jobs.content import Content
from jobs.models import Job
from jobs.targets.kinds import Target

# Makes one call; raises `DeliveryError` if no answer comes.
Send = Callable[[Request], Awaitable[Reply]]


class Run(NamedTuple):
    """A run that a call started elsewhere and that is followed to its end, such as a GitHub workflow run. `poll_url`:
    the address that tells its status; without one it is followed by its id, or its receiver calls back.
    """

    id: int
    url: str
    poll_url: str = ""


class Call(NamedTuple):
    """Of which execution a call is an attempt. `scheduled_for`: its fire time, None for a manual run. `trigger`:
    scheduled, manual or test.
    """

    execution_id: UUID
    attempt: int = 1
    scheduled_for: dt.datetime | None = None
    trigger: str = "manual"


class Outcome(NamedTuple):
    """How a delivery ended.

    `error` is '' on success. `target` is what was called, if it differs from what was asked. `failure`: why there is
    no status code: 'connect', 'timeout' or 'broken'; 'criteria' if the answer broke the job's own rules.
    `repeatable`: whether another attempt can do no harm. `retry_after`: that header. `run`: the run that was started;
    the outcome is known when it ends. `pause`: a rate limit of GitHub refused the call, which therefore started
    nothing.
    """

    ok: bool
    response_status: int | None = None
    output: str = ""
    error: str = ""
    target: str = ""
    failure: str = ""
    repeatable: bool = True
    retry_after: str = ""
    run: Run | None = None
    pause: Pause | None = None


class Deliverable(Protocol):
    """One delivery: a target with everything that its calls need.

    `repeatable`: whether a call that may have arrived may be made again (webhooks, by their Idempotency-Key) or not
    (dispatches). `asks_first`: whether a call begins only after it is stored that it does, and that its execution has
    not ended.
    """

    @property
    def repeatable(self) -> bool: ...

    @property
    def asks_first(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    async def deliver(self, send: Send, call: Call) -> Outcome:
        """Make the call or calls and return the outcome. Raises `DeliveryError`."""
        ...

    def example(self, call: Call) -> Request:
        """The request as it would be sent, to be shown."""
        ...

    def prepared(self, call: Call) -> Deliverable:
        """The same with what can be made before the first call. Raises `DeliveryError`."""
        ...

    @property
    def origin(self) -> Origin | None:
        """Where a prepared first call goes; None if that is not known before it is made."""
        ...

    @property
    def size(self) -> int:
        """About the bytes of its first call, which bounds how many are prepared."""
        ...


class DeliverableTarget(Target):
    """A target that can be delivered: the base class of every kind."""

    # Whether a call that may have arrived may be repeated; if not, why.
    repeatable: ClassVar[bool]
    not_repeated: ClassVar[str] = ""
    # Whether a single run may bring its own token.
    accepts_token: ClassVar[bool] = False
    # Whether its calls are counted to a budget.
    has_budget: ClassVar[bool] = False
    # The message of a test run that could not be sent, and of one that succeeded.
    unsent: ClassVar[str] = "Request failed"

    @property
    @abstractmethod
    def host(self) -> str:
        """The authority (`host:port`) that is called: the key of the limit for each host. Raises `ValueError`."""

    @abstractmethod
    def delivery(self, content: Content, job: Job, *, token: str = "") -> Deliverable:
        """The delivery of a job's execution; `token` is that of a single run."""

    def budget(self, job: Job) -> Budget | None:
        """The budget that the job's calls are counted to; None for none."""
        return None

    @abstractmethod
    def trial(self, content: Content, job: Job) -> Deliverable:
        """The delivery of a test run with the values of a job that need not be stored."""

    @abstractmethod
    def trial_message(self, outcome: Outcome) -> str:
        """What a test run with this outcome says to a person."""

    def check(self, metadata: dict[str, Any], form: Mapping[str, str], credential_id: UUID | None) -> dict[str, Any]:
        """Whether the target accepts this metadata, asked before a job is saved: `{"ok", "message"}`."""
        return {"ok": False, "message": ""}

    def cancel_run(self, run_id: int, job: Job) -> None:
        """Cancel a run that was started elsewhere and is followed. Raises `Run not cancelled`; kinds without runs have
        nothing to do.
        """

    def enable(self, job: Job) -> None:
        """Enable what is disabled at the target. Raises `Not enabled`; for kinds that cannot be disabled always."""
        raise Conflict("Not enabled", "Nothing of this job can be enabled there.")

    def remedy(self, status: int | None, answer: str) -> str:
        """What to change after a call that ended with this status and answer; '' where nothing is known."""
        return ""

    def shown(self, *, is_owner: bool = False) -> str:
        """The target with secret parts masked; `is_owner`: for who may read the job's secrets."""
        return str(self)

    def page(self) -> str:
        """The URL of a web page about the target; '' if there is none."""
        return ""

    @classmethod
    def findings(cls) -> Iterator[Finding]:
        """Doctor findings on the active jobs of this kind that need no network."""
        return iter(())

    @classmethod
    def online_findings(cls) -> Iterator[Finding]:
        """Doctor findings on the active jobs of this kind that need the network."""
        return iter(())
