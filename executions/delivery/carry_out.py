"""Turns a stored execution into a delivery under its job's policies, and submits it to this process's engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from core.db.among import among
from executions.budgets import Budget
from executions.delivery import engine
from executions.delivery.concurrency import Limit, Limits
from executions.delivery.retry import NO_RETRY, RetryPolicy
from executions.delivery.start_deadline import StartDeadline, deadlines_of, missed
from executions.delivery.state import Delivery
from executions.models import Execution
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.targets import Deliverable, DeliverableTarget, Outcome, target_kind
from jobs.content import Content
from jobs.field_traits import names
from jobs.models import Job, JobQuerySet
from taxonomy.models import PicTeam

log = logging.getLogger("cronsched.carry_out")
MOST_TAKEOVERS = 3
# What a row raises that was edited by hand.
UNREADABLE = (ValueError, TypeError, IndexError, KeyError, AttributeError)


class Team(NamedTuple):
    """The name of a team, for the log, and its concurrency limit; None for none."""

    name: str
    limit: int | None


Teams = Mapping[UUID, Team]


def read_teams() -> dict[UUID, Team]:
    """Every team, which a process reads once for the deliveries that it makes together."""
    teams: QuerySet[PicTeam] = QuerySet(PicTeam)
    return {pk: Team(name, most or None) for pk, name, most in teams.values_list("pk", "name", "max_concurrent")}


def with_jobs(executions: QuerySet[Execution]) -> list[Execution]:
    """Executions with their jobs, of which only the columns are read that deliveries need."""
    found = list(executions)
    jobs = JobQuerySet(Job).filter(among({one.job_id for one in found})).order_by()
    by_id = {job.pk: job for job in jobs.bare(*names(having="fired"))}
    for one in found:
        one.job = by_id[one.job_id]
    return found


def target_of(execution: Execution) -> DeliverableTarget:
    """The target of a stored execution. Raises `ValueError` for one that cannot be read."""
    return target_kind(execution.execution_type).parse(execution.target)


def deliverable_of(execution: Execution) -> Deliverable:
    """What a stored execution sends. Raises one of `UNREADABLE` for what cannot be read."""
    content = Content.of_stored(execution.job, execution.overrides or {})
    return target_of(execution).delivery(content, execution.job)


def delivery_of(
    job: Job,
    execution_id: UUID,
    started_at: datetime,
    target: DeliverableTarget,
    content: Content,
    *,
    teams: Teams,
    worker_id: UUID | None,
    scheduled_for: datetime | None = None,
    deadline: StartDeadline | None = None,
    token: str = "",
    attempts: tuple[dict[str, Any], ...] = (),
) -> Delivery:
    """The delivery of a stored execution under the job's policies. `teams`: see `read_teams`."""
    jitter = job.jitter if scheduled_for else 0
    team = teams.get(job.pic_team_id)
    budget = None if token else target.budget(job)
    return Delivery(
        execution_id=execution_id,
        worker_id=worker_id,
        job_id=job.pk,
        job_name=job.name,
        team=team.name if team else "",
        started_at=started_at,
        target=str(target),
        deliverable=target.delivery(content, job, token=token),
        timeout=job.timeout_seconds,
        connect_timeout=job.connect_timeout_seconds,
        retry=_retry_policy(job),
        delay=_left(jitter, scheduled_for) if scheduled_for and jitter and not attempts else 0,
        limits=_limits(job, target, team, budget),
        scheduled_for=scheduled_for,
        jitter=jitter,
        deadline=deadline,
        attempts=attempts,
        budget=budget,
        priority=job.priority,
    )


def carry_out(executions: Sequence[Execution], teams: Teams) -> int:
    """Submit stored executions that belong to this worker, and end those that cannot be delivered or have missed
    their start deadline; returns how many it ended.
    """
    ended: list[Finished] = []
    deliveries: list[Delivery] = []
    deadlines = deadlines_of(executions, engine.worker_id())
    late = missed(executions, deadlines)
    for execution in executions:
        try:
            reason = why_not(execution)
            if not reason and execution.pk in late:
                ended.append(Finished.missed(execution, late[execution.pk], engine.worker_id()))
                continue
            deliveries += [] if reason else [_stored_delivery(execution, teams, deadlines.get(execution.pk))]
        except UNREADABLE as exc:
            reason = unreadable(exc)
        if reason:
            ended.append(Finished.of(execution, Outcome(False, error=reason), engine.worker_id()))
    store(ended)
    if deliveries:
        engine.local_engine().submit(deliveries)
    return len(ended)


def why_not(execution: Execution) -> str:
    """Why an execution is not carried out by another worker; '' if it is."""
    overrides = execution.overrides or {}
    if execution.takeovers >= MOST_TAKEOVERS:
        return f"given up: {execution.takeovers} processes ended while they carried it out"
    if overrides.get("github_token"):
        return "the process that held this run's GitHub token ended; run it again"
    try:
        kind = target_kind(execution.execution_type)
    except ValueError as exc:
        return unreadable(exc)
    return kind.not_repeated if execution.call_began_at is not None and not kind.repeatable else ""


def unreadable(exc: Exception) -> str:
    """The reason of an execution that ends because its row cannot be read."""
    return f"what is stored of the job cannot be carried out: {exc}"


def _stored_delivery(execution: Execution, teams: Teams, deadline: StartDeadline | None) -> Delivery:
    overrides = execution.overrides or {}
    return delivery_of(
        execution.job,
        execution.pk,
        execution.started_at,
        target_of(execution),
        Content.of_stored(execution.job, overrides),
        worker_id=engine.worker_id(),
        scheduled_for=execution.scheduled_for,
        deadline=deadline,
        teams=teams,
        attempts=tuple(execution.attempts),
    )


def _left(jitter: float, fire_time: datetime) -> float:
    """The seconds of the jitter that are left."""
    return max(0.0, jitter - (timezone.now() - fire_time).total_seconds())


def _limits(job: Job, target: DeliverableTarget, team: Team | None, budget: Budget | None) -> Limits:
    limits = _host_limit(target.host, settings.ENGINE_CONCURRENCY_PER_HOST)
    if team and team.limit:
        limits = (*limits, Limit(f"team {job.pic_team_id}", team.limit))
    return (*limits, Limit(f"credential {budget.key}", budget.at_once)) if budget else limits


@lru_cache(maxsize=10_000)
def _host_limit(authority: str, size: int) -> Limits:
    return (Limit(f"host {authority}", size),)


def _retry_policy(job: Job) -> RetryPolicy:
    if job.max_attempts <= 1:
        return NO_RETRY
    return RetryPolicy(job.max_attempts, job.retry_backoff_seconds, job.retry_deadline_seconds, frozenset(job.retry_on))
