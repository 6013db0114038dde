"""What GitHub's webhook tells: that a run has changed. The run follower asks GitHub for its state at its next look, so
a delivery that is late, repeated or out of order does no harm, and one that is lost is made up for by polling.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from core.api.errors import DomainError
from executions.models import Execution, Status, WorkflowRun
from executions.targets.github.target import GitHubTarget
from settings_app.models import EnvironmentToken, GitHubCredential

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)


def is_signed(body: bytes, signature: str) -> bool:
    """Whether a delivery is signed with a webhook secret that is stored here (HMAC-SHA-256, `sha256=...`)."""
    if not _SIGNATURE.fullmatch(signature):
        return False
    told = signature.encode()
    # Each secret is compared, so that the time tells nothing about which one fits.
    fits = [
        hmac.compare_digest(f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}".encode(), told)
        for secret in _secrets()
    ]
    return any(fits)


def run_has_changed(run_id: Any) -> bool:
    """Note that a run has changed; returns whether it is followed."""
    if not isinstance(run_id, int) or isinstance(run_id, bool) or not 0 < run_id < 2**63:
        return False
    runs = Execution.objects.filter(run_id=run_id, execution_type=GitHubTarget.kind)
    now = timezone.now()
    execution = runs.filter(status=Status.RUNNING).first() or runs.filter(workflow_run__watched_until__gt=now).first()
    if execution is None:
        return False
    WorkflowRun.objects.update_or_create(pk=execution.pk, defaults={"look_at": now})
    return True


def _secrets() -> Iterator[str]:
    rows: Any = (GitHubCredential, EnvironmentToken)
    for model in rows:
        for row in model.objects.exclude(webhook_secret="").only("pk", "webhook_secret"):
            try:
                secret = row.webhook_secret
            except DomainError:
                # Its key is lost; the others count.
                continue
            if secret:
                yield secret
