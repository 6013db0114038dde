"""Webhooks: metadata is POSTed as JSON; without metadata a GET. 2xx is success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import orjson

from executions.http import Request
from executions.models import ExecutionType
from executions.targets.base import Outcome, Send


@dataclass(frozen=True)
class Webhook:
    """One call of a URL. `always_post`: also without metadata, as test runs do."""

    repeatable: ClassVar[bool] = True
    kind: ClassVar[ExecutionType] = ExecutionType.WEBHOOK

    url: str
    metadata: dict[str, Any]
    always_post: bool = False

    async def deliver(self, send: Send, execution_id: UUID) -> Outcome:
        reply = await send(self.request(execution_id))
        if 200 <= reply.status < 300:
            return Outcome(True, reply.status, reply.text)
        error = f"Webhook returned status {reply.status}"
        return Outcome(False, reply.status, reply.text, error, retry_after=reply.retry_after)

    def request(self, execution_id: UUID) -> Request:
        """The call. `Idempotency-Key` lets a receiver tell a repeated delivery (IETF draft idempotency-key-header)."""
        headers = {"Idempotency-Key": str(execution_id)}
        if not self.metadata and not self.always_post:
            return Request("GET", self.url, headers)
        return Request("POST", self.url, {**headers, "Content-Type": "application/json"}, orjson.dumps(self.metadata))
