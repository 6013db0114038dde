from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from core.runtime.signed_addresses import CALLBACKS
from executions.models import Execution, Status
from executions.services import trigger_now
from executions.targets.webhook import callback
from jobs.models import Job
from tests.support.target import Arrival, Target, wait_until

Begin = Callable[..., Execution]


@pytest.fixture
def begin(make_job: Callable[..., Job], target: Target, admin: User) -> Begin:
    """Run a job whose receiver answers 202; returns its execution once no worker owns it."""

    def make(
        completion: str = "callback", answered: dict[str, str] | None = None, *, status: int = 202, **fields: Any
    ) -> Execution:
        def accept(arrival: Arrival) -> tuple[int, dict[str, str], bytes]:
            return status, answered or {}, b"begun"

        target.answers["/work"] = accept
        job = make_job(name=f"work {uuid4()}", target_url=f"{target.url}/work", completion=completion, **fields)
        execution = trigger_now(job.pk, {}, by=admin)

        def called() -> Execution | None:
            found = Execution.objects.get(pk=execution.pk)
            return found if found.worker_id is None or found.status != Status.RUNNING else None

        found: Execution = wait_until(called)
        return found

    return make


@pytest.fixture
def tell() -> Callable[..., Any]:
    """Post to the callback of an execution without a login."""

    def post(execution: Execution | str, **body: Any) -> Any:
        token = execution if isinstance(execution, str) else callback.token_of(execution.pk)
        return APIClient().post(f"{CALLBACKS}{token}", body, format="json")

    return post
