"""What can be done with executions: run a job now, try a target once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from contract import payload
from contract.errors import NotFound, invalid_field
from executions import engine, queueing
from executions.engine import Delivery
from executions.gate import Key, Keys
from executions.models import OPEN, Execution, ExecutionType, Status, TriggerType
from executions.retry import NO_RETRY, RetryPolicy
from executions.targets import Webhook, deliverable, type_of
from executions.wire import DeliveryError
from jobs import cleaning, targets
from jobs.models import Job, Revision
from jobs.services import get_job, job_expired, pause_expired, require_owner
from jobs.targets import GitHubTarget, Target, WebhookTarget
from taxonomy.models import PicTeam

_TOKEN_LIMIT = 1000
_BATCH = 500


def trigger_now(job_id: Any, data: Mapping[str, Any], *, by: User) -> Execution:
    """Run a job now, also an inactive one, with overrides for this run only; returns its execution at once.

    Overrides: `metadata`, `target_url` (webhook jobs), `dispatch_url`, `github_owner`, `github_repo`, `github_workflow_name`,
    `github_token` (GitHub jobs). The token is held in memory only. Raises `Job expired` past the end date, after pausing.
    """
    job = get_job(job_id)
    require_owner(job, by)
    if job.has_ended:
        pause_expired()
        raise job_expired(job.end_date)
    target = _target_of_run(job, data)
    metadata = (
        cleaning.metadata(data["metadata"], error="Invalid payload") if data.get("metadata") is not None else None
    )
    token = _token(data)
    overrides: dict[str, Any] = {} if target == job.target else {"target": str(target)}
    if metadata is not None:
        overrides["metadata"] = metadata
    if token and isinstance(target, GitHubTarget):
        # Only that there was one: it is kept in memory alone.
        overrides["github_token"] = True
    with transaction.atomic():
        execution = Execution.objects.create(
            job=job,
            status=Status.RUNNING,
            trigger_type=TriggerType.MANUAL,
            triggered_by=by,
            execution_type=type_of(target),
            target=str(target),
            overrides=overrides or None,
            # A token of this run alone stays in the memory of this process, so that the call is made here.
            worker_id=engine.worker_id() if token else owner(),
        )
        Job.objects.filter(pk=job.pk).update(last_execution_at=execution.started_at, last_status=Status.RUNNING)
        Revision.bump()
        delivery = delivery_of(
            job,
            execution.id,
            execution.started_at,
            target,
            job.metadata if metadata is None else metadata,
            limits=team_limits(),
            worker_id=execution.worker_id,
            manual=True,
            github_token=token,
        )
        transaction.on_commit(lambda: hand_over([delivery]))
    return execution


def delivery_of(
    job: Job,
    execution_id: UUID,
    started_at: datetime,
    target: Target,
    metadata: dict[str, Any],
    *,
    limits: Mapping[UUID, int],
    worker_id: UUID | None,
    manual: bool = False,
    github_token: str = "",
    attempts: tuple[dict[str, Any], ...] = (),
) -> Delivery:
    """What carries out a stored execution of this worker under the job's policies. `limits`: see `team_limits`."""
    return Delivery(
        execution_id=execution_id,
        worker_id=worker_id,
        job_id=job.pk,
        job_name=job.name,
        started_at=started_at,
        target=str(target),
        deliverable=deliverable(target, metadata, job, github_token=github_token),
        timeout=job.timeout_seconds,
        connect_timeout=job.connect_timeout_seconds,
        retry=_retry_policy(job),
        delay=0 if manual else job.jitter,
        keys=_keys(job, target, limits),
        manual=manual,
        attempts=attempts,
    )


def team_limits() -> dict[UUID, int]:
    """How many calls at once the teams allow that have a limit."""
    teams: QuerySet[PicTeam] = QuerySet(PicTeam)
    return {team.pk: team.max_concurrent for team in teams.filter(max_concurrent__gte=1) if team.max_concurrent}


def _keys(job: Job, target: Target, limits: Mapping[UUID, int]) -> Keys:
    url = target.url if isinstance(target, WebhookTarget) else settings.GITHUB_API_URL
    host = _host_key(url.split("/", 3)[2], settings.ENGINE_CONCURRENCY_PER_HOST)
    limit = limits.get(job.pic_team_id) if limits else None
    return (*host, Key(f"team {job.pic_team_id}", limit)) if limit else host


@lru_cache(maxsize=10_000)
def _host_key(authority: str, limit: int) -> Keys:
    return (Key(f"host {authority}", limit),)


def _retry_policy(job: Job) -> RetryPolicy:
    if job.max_attempts <= 1:
        return NO_RETRY
    return RetryPolicy(job.max_attempts, job.retry_backoff_seconds, job.retry_deadline_seconds, frozenset(job.retry_on))


def target_of(execution: Execution) -> Target:
    """Where a stored execution is delivered."""
    if execution.execution_type == ExecutionType.GITHUB:
        return GitHubTarget(*execution.target.split("/", 2))
    return WebhookTarget(execution.target)


def shut_down() -> None:
    """End this process's engine with all outcomes recorded; what it did not begin is given to other workers."""
    mine: defaultdict[UUID | None, list[UUID]] = defaultdict(list)
    for delivery in engine.shutdown_local_engine(settings.ENGINE_DRAIN_SECONDS):
        mine[delivery.worker_id].append(delivery.execution_id)
    for worker_id, ids in mine.items():
        for start in range(0, len(ids), _BATCH):
            # What was taken over meanwhile stays with whoever took it.
            held = Execution.objects.filter(pk__in=ids[start : start + _BATCH], worker_id=worker_id, status__in=OPEN)
            held.update(worker_id=None)


def owner() -> UUID | None:
    """The worker that new executions belong to: this process, or none where Celery workers claim them."""
    return engine.worker_id() if settings.EXECUTION_BACKEND == "local" else None


def hand_over(deliveries: Sequence[Delivery]) -> None:
    """Give stored executions to what carries them out: this process's engine those that are its own, Celery workers the others."""
    own = [delivery for delivery in deliveries if delivery.worker_id is not None]
    if own:
        engine.local_engine().submit(own)
    queueing.send({one.execution_id: one.deliverable.kind for one in deliveries if one.worker_id is None})


def test_run(data: Mapping[str, Any]) -> dict[str, Any]:
    """Call a target once with a job's settings, storing nothing. Returns the contract's answer."""
    target = targets.read_target(data, default_owner=settings.DEFAULT_GITHUB_OWNER)
    metadata = cleaning.metadata(data.get("metadata"))
    timeout = _timeout(data.get("timeout_seconds"))
    if target is None:
        raise targets.missing_target()
    kind = "github" if isinstance(target, GitHubTarget) else "webhook"
    subject = (
        deliverable(target, metadata, job_name=payload.text(data.get("name"), "name", limit=255) or "test run")
        if isinstance(target, GitHubTarget)
        else Webhook(target.url, metadata, always_post=True)
    )
    try:
        outcome = engine.local_engine().try_once(subject, uuid4(), timeout)
    except DeliveryError as exc:
        return {"ok": False, "type": kind, "error": "Request failed", "message": str(exc)}
    if outcome.response_status is None:
        return {"ok": False, "type": kind, "error": "GitHub token not configured", "message": outcome.error}
    message = outcome.error or (outcome.output if kind == "github" else "The webhook answered.")
    return {"ok": outcome.ok, "type": kind, "status_code": outcome.response_status, "message": message}


def get_execution(execution_id: Any, *, job: Job | None = None) -> Execution:
    """The execution with this id, of this job if one is given. Raises `Execution not found`."""
    message = f"There is no execution with the id '{execution_id}'."
    pk: UUID = payload.uuid_or_404(execution_id, "Execution not found", message)
    executions = Execution.objects.select_related("job")
    execution = (executions.filter(job=job) if job else executions).filter(pk=pk).first()
    if execution is None:
        raise NotFound("Execution not found", message)
    return execution


def _target_of_run(job: Job, data: Mapping[str, Any]) -> Target:
    if isinstance(job.target, WebhookTarget):
        url = payload.text(data.get("target_url"), "target_url", limit=2048)
        asked = targets.read_url(url) if url else job.target
        if not isinstance(asked, WebhookTarget):
            raise invalid_field("target_url", "This job calls a webhook: write a URL.", error="Invalid target_url")
        return asked
    dispatch = payload.text(data.get("dispatch_url"), "dispatch_url", limit=2048)
    base = targets.read_dispatch_url(dispatch) if dispatch else job.target
    parts = [payload.text(data.get(name), name, limit=100) for name in targets.GITHUB_FIELDS]
    return targets.github_target(
        *(part or base.columns()[name] for name, part in zip(targets.GITHUB_FIELDS, parts, strict=True))
    )


def _token(data: Mapping[str, Any]) -> str:
    token = payload.text(data.get("github_token"), "github_token", limit=_TOKEN_LIMIT)
    if not (token.isascii() and token.isprintable()):
        raise invalid_field("github_token", "The token holds characters that no token has: copy it again.")
    return token


def _timeout(value: Any) -> float:
    if value is None:
        return float(settings.WEBHOOK_TIMEOUT_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 30:
        raise invalid_field("timeout_seconds", "'timeout_seconds' must be a number from 1 to 30.")
    return float(value)
