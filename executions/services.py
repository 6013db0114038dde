"""What users can do with executions: run a job now, run one again, cancel one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from audit import events
from audit.events import Event
from core.api import payload
from core.api.errors import Conflict, NotFound, TooManyRequests, invalid_field
from executions import backends
from executions.delivery import engine
from executions.delivery.carry_out import delivery_of, read_teams, target_of
from executions.models import OPEN, Execution, Status, TriggerType
from executions.recording.outcomes import Finished
from executions.recording.storage import queue_outcomes, store
from executions.runs import reruns
from executions.statistics import queries, rollups
from executions.statistics.rollups import Ended
from executions.targets import DeliverableTarget, Outcome, deliverable
from jobs import content, request_rules, validation
from jobs.content import Content, Rendered
from jobs.input import changed_copy
from jobs.models import Job, Revision
from jobs.services import get_job, pause_expired, require_owner
from jobs.validation import job_expired
from windows.services import inside_now

_TOKEN_LIMIT = 1000
_TRIES = 3
# Runs by hand of one user that may be open at a time.
_MOST_OPEN = 200


def trigger_now(
    job_id: Any,
    data: Mapping[str, Any],
    *,
    by: User,
    nominal_for: dt.datetime | None = None,
    again: Execution | None = None,
) -> Execution:
    """Run a job now, even an inactive one, with overrides for this run only (`read_overrides`); returns the execution
    at once. `nominal_for`: the fire time that the run makes up for. `again`: the execution that it repeats, whose
    variables keep their values.

    Past the end date it pauses the job and raises `Job expired`; inside a window it raises `Window open` unless `force`
    is true.
    """
    job = get_job(job_id)
    require_owner(job, by)
    if job.has_ended:
        pause_expired()
        raise job_expired(job.end_date)
    _refuse_inside(job, data)
    overrides = read_overrides(job, data, by=by)
    _refuse_too_many(by)
    execution_id, now = uuid7(), timezone.now()
    rendered = _kept_of(again) if again else None
    if rendered is None:
        rendered = _render(job, overrides, execution_id, nominal_for or now)
    with transaction.atomic():
        fields = {"id": execution_id, "triggered_by": by, "nominal_for": nominal_for, "started_at": now}
        execution = _started(job, overrides, rendered, **fields)
        delivery = delivery_of(
            job,
            execution.id,
            execution.started_at,
            deliverable(rendered.target),
            rendered.content,
            teams=read_teams(),
            worker_id=execution.worker_id,
            token=overrides.token,
        )
        transaction.on_commit(lambda: backends.submit([delivery]))
    return execution


def _started(job: Job, overrides: Overrides, rendered: Rendered, **fields: Any) -> Execution:
    """The stored execution of a manual run."""
    target, stored = deliverable(rendered.target), overrides.stored
    if rendered.content.is_rendered:
        stored = {**stored, "rendered": rendered.content.stored()}
    execution = Execution.objects.create(
        job=job,
        status=Status.RUNNING,
        trigger_type=TriggerType.MANUAL,
        execution_type=target.kind,
        target=str(target),
        overrides=stored or None,
        # The token is in the memory of this process only, so this process makes the call.
        worker_id=engine.worker_id() if overrides.token else backends.new_worker_id(),
        **fields,
    )
    Job.objects.filter(pk=job.pk).update(last_execution_at=execution.started_at, last_status=Status.RUNNING)
    Revision.bump()
    return execution


def _render(job: Job, overrides: Overrides, execution_id: UUID, scheduled_for: dt.datetime) -> Rendered:
    """What the run sends. Raises `Invalid payload` for variables in the overrides that cannot be put in."""
    own = Content.of(job, overrides.metadata)
    if not job.templated:
        return Rendered(overrides.target, own)
    try:
        values = content.values_of(
            job,
            execution_id=str(execution_id),
            trigger=TriggerType.MANUAL,
            scheduled_for=scheduled_for,
            succeeded_for=queries.last_success_for([job.pk]).get(job.pk) if content.asks_for_success(job) else None,
        )
        return content.render(job, overrides.target, own, values)
    except ValueError as exc:
        raise invalid_field("metadata", f"The request cannot be made: {exc}.") from exc


def _kept_of(execution: Execution) -> Rendered | None:
    """What an execution has sent, if its variables were put in."""
    stored = execution.overrides if isinstance(execution.overrides, dict) else {}
    if "rendered" not in stored:
        return None
    return Rendered(target_of(execution), Content.of_stored(execution.job, stored))


class Overrides(NamedTuple):
    """What differs for one run. `metadata`: None for the job's. `stored`: what is kept of it, without the token."""

    target: DeliverableTarget
    metadata: dict[str, Any] | None
    token: str
    stored: dict[str, Any]


def read_overrides(job: Job, data: Mapping[str, Any], *, by: User) -> Overrides:
    """The overrides of one run: `metadata`, the fields of the job's target (webhooks: `target_url`; GitHub:
    `dispatch_url`, `github_owner`, `github_repo`, `github_workflow_name`), and `github_token`, which is kept in memory
    only. Raises a `DomainError` for what is invalid, and if the user may not use the credential for it.
    """
    target = deliverable(deliverable(job.target).overridden(data))
    metadata = (
        validation.metadata(data["metadata"], error="Invalid payload") if data.get("metadata") is not None else None
    )
    token = _token(data)
    if target != job.target or metadata is not None:
        request_rules.check(changed_copy(job, {} if metadata is None else {"metadata": metadata}), target, by=by)
    if not token and (target != job.target or metadata is not None):
        target.check_credential(job.github_credential_id, job.pic_team_id, by)
    stored: dict[str, Any] = {} if target == job.target else {"target": str(target)}
    if metadata is not None:
        stored["metadata"] = metadata
    if token and target.accepts_token:
        # Only the presence of a token is stored, never the token.
        stored["github_token"] = True
    return Overrides(target, metadata, token, stored)


@transaction.atomic
def record_unrun(
    job: Job,
    status: Status,
    reason: str,
    *,
    by: User | None,
    overrides: Overrides | None = None,
    nominal_for: dt.datetime | None = None,
    fire_time: dt.datetime | None = None,
) -> Execution:
    """Record a run that does not start, that somebody asked for or of a fire time: skipped, missed or failed, with the
    reason. Failed ones are notified, the others if the job asks for it. `overrides`: those that it would have had, if
    they can be read.
    """
    now = timezone.now()
    execution = Execution.objects.create(
        job=job,
        status=status,
        trigger_type=TriggerType.SCHEDULED if fire_time else TriggerType.MANUAL,
        triggered_by=by,
        scheduled_for=fire_time,
        nominal_for=nominal_for,
        started_at=now,
        completed_at=now,
        execution_type=job.target_kind,
        target=str(overrides.target) if overrides else job.target_url,
        overrides=(overrides and overrides.stored) or None,
        error_message=reason,
    )
    if status == Status.FAILED:
        Job.objects.filter(pk=job.pk).update(last_execution_at=now, last_status=status)
    rollups.count([Ended(job.pk, job.target_kind, now, status, None)])
    if status == Status.FAILED or job.notify_on_missed:
        queue_outcomes([execution.pk])
    Revision.bump()
    return execution


def _refuse_inside(job: Job, data: Mapping[str, Any]) -> None:
    if "force" in data and payload.boolean(data["force"], "force"):
        return
    inside = inside_now(job)
    if inside:
        raise Conflict(
            "Window open",
            f"The job is inside the window '{inside.window.name}': send 'force': true to run it all the same.",
        )


def run_again(execution: Execution, *, by: User, force: bool = False) -> Execution:
    """Run an execution's job now with the same overrides and the same values of variables, without the token of a
    single run, for the same fire time. Raises like `trigger_now`.
    """
    data = {**overrides_of(execution), **({"force": True} if force else {})}
    makes_up_for = execution.scheduled_for or execution.nominal_for
    return trigger_now(execution.job_id, data, by=by, nominal_for=makes_up_for, again=execution)


def run_failed_jobs_again(execution: Execution, *, by: User, force: bool = False) -> Execution:
    """Run the failed jobs of an execution's workflow run again; its next attempt decides anew how the execution ended.
    Raises `Not run again` with the reason, and `Window open` unless `force`.
    """
    job = execution.job
    require_owner(job, by)
    _refuse_inside(job, {"force": force})
    target_of(execution).check_credential(job.github_credential_id, job.pic_team_id, by)
    reruns.run_failed_jobs_again(execution)
    return get_execution(execution.pk)


def enable_workflow(job_id: Any, *, by: User) -> Job:
    """Enable the workflow of a job on GitHub, which somebody has disabled there. Raises `Not enabled`."""
    job = get_job(job_id)
    require_owner(job, by)
    target = deliverable(job.target)
    target.check_credential(job.github_credential_id, job.pic_team_id, by)
    target.enable(job)
    events.note(Event.WORKFLOW_ENABLED, str(target), by=by, job=job.name)
    return job


def overrides_of(execution: Execution) -> dict[str, Any]:
    """The overrides of an execution as a request has them."""
    stored = execution.overrides if isinstance(execution.overrides, dict) else {}
    data: dict[str, Any] = {"metadata": stored["metadata"]} if "metadata" in stored else {}
    return {**data, **target_of(execution).as_overrides()} if "target" in stored else data


def _refuse_too_many(by: User) -> None:
    mine = Execution.objects.filter(status__in=OPEN, triggered_by=by, trigger_type=TriggerType.MANUAL)
    if len(mine.values_list("pk")[:_MOST_OPEN]) >= _MOST_OPEN:
        raise TooManyRequests(
            "Too many open runs", f"{_MOST_OPEN} of your runs are open: wait until they have ended.", retry_after=10
        )


def cancel(execution_id: Any, *, by: User) -> Execution:
    """Cancel an execution that has not ended: no further call of it begins, a call under way is broken off, and a run
    that it started elsewhere is cancelled there. Raises `Execution already ended` or `Run not cancelled`.
    """
    execution = get_execution(execution_id)
    require_owner(execution.job, by)
    for _ in range(_TRIES):
        if execution.status not in OPEN:
            break
        if execution.run_id is not None and not reruns.forget_planned(execution):
            target_of(execution).cancel_run(execution.run_id, execution.job)
        store([_cancelled(execution, by)])
        # A worker may have claimed it, or its run may be followed, in the meantime.
        execution = get_execution(execution_id)
    if execution.status != Status.CANCELLED:
        raise Conflict("Execution already ended", f"It has ended with the status '{execution.status}'.")
    return execution


def _cancelled(execution: Execution, by: User) -> Finished:
    reason = f"cancelled by {by.email}"
    if execution.call_began_at is not None:
        reason += " while the target was being called: what the call starts may have started"
    outcome = Outcome(False, execution.response_status, execution.output, reason)
    return Finished.of(execution, outcome, execution.worker_id, Status.CANCELLED)


def remedy(execution: Execution) -> str:
    """What to change after an execution that failed; '' where nothing is known."""
    if execution.status != Status.FAILED:
        return ""
    try:
        return target_of(execution).remedy(execution.response_status, execution.output)
    except ValueError:
        return ""


def get_execution(execution_id: Any, *, job: Job | None = None) -> Execution:
    """The execution with this id, and of this job if one is given. Raises `Execution not found`."""
    message = f"There is no execution with the id '{execution_id}'."
    pk: UUID = payload.uuid_or_404(execution_id, "Execution not found", message)
    executions = Execution.objects.select_related("job__pic_team", "job__category", "triggered_by").filter(
        job__deleted_at=None
    )
    execution = (executions.filter(job=job) if job else executions).filter(pk=pk).first()
    if execution is None:
        raise NotFound("Execution not found", message)
    return execution


def _token(data: Mapping[str, Any]) -> str:
    token = payload.text(data.get("github_token"), "github_token", limit=_TOKEN_LIMIT)
    if not (token.isascii() and token.isprintable()):
        raise invalid_field("github_token", "The token contains invalid characters: copy it again.")
    return token
