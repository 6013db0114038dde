"""Read queries for pages and metrics: counts by hour, the latest runs of jobs, fire lag."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from core.db.among import among
from core.db.raw import rows_of
from executions.models import OPEN, Execution, Status, TriggerType, Worker
from jobs.models import Job

_SAMPLE = 2000


class UtcText(models.Func):
    """The first characters of a timestamp as UTC text: `2026-11-24 09` for hours, `2026-11-24 09:30` for minutes.

    Plain text functions, because Django's truncation takes seconds for a million rows on SQLite.
    """

    output_field = models.CharField()
    arity = 1

    def __init__(self, expression: Any, length: int) -> None:
        super().__init__(expression)
        self._length = length

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"substr(%(expressions)s, 1, {int(self._length)})", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        shape = "YYYY-MM-DD HH24:MI"[: int(self._length) + 2 * (self._length > 11)]
        template = f"to_char(%(expressions)s AT TIME ZONE 'UTC', '{shape}')"
        return self.as_sql(compiler, connection, template=template, **context)


def hour_of(expression: str | models.Expression) -> UtcText:
    """The hour of a timestamp, as UTC text."""
    return UtcText(expression, 13)


def minute_of(expression: str | models.Expression) -> UtcText:
    """The minute of a timestamp, as UTC text."""
    return UtcText(expression, 16)


def read_utc(text: str) -> dt.datetime:
    """Parse the text of `hour_of` or `minute_of` into an aware datetime."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


class Lag(NamedTuple):
    """Seconds from fire time to record, over the latest executions of a period; None without any."""

    p50: float | None
    p99: float | None
    runs: int


def fire_lag(since: dt.datetime) -> Lag:
    """The fire lag since `since`, over at most the latest 2,000 scheduled executions that ran."""
    rows = (
        Execution.objects.filter(started_at__gte=since, trigger_type=TriggerType.SCHEDULED)
        .exclude(status__in=[Status.MISSED, Status.SKIPPED])
        .newest_first()
        .values_list("scheduled_for", "started_at")[:_SAMPLE]
    )
    lags = sorted((began - due).total_seconds() for due, began in rows if due)
    if not lags:
        return Lag(None, None, 0)
    return Lag(lags[len(lags) // 2], lags[min(len(lags) - 1, int(len(lags) * 0.99))], len(lags))


def open_count() -> int:
    """The number of executions that are queued or running."""
    return Execution.objects.filter(status__in=OPEN).count()


class Run(NamedTuple):
    """One of a job's latest executions."""

    id: UUID
    status: str
    started_at: dt.datetime
    duration_seconds: float | None


def last_success_for(job_ids: Sequence[UUID]) -> dict[UUID, dt.datetime]:
    """The fire time of the latest success of each of these jobs; jobs without one are left out."""
    if not job_ids:
        return {}
    successes = Execution.objects.filter(job=OuterRef("pk"), status=Status.SUCCESS, scheduled_for__isnull=False)
    latest = Subquery(successes.order_by("-started_at", "-id").values("scheduled_for")[:1])
    rows = Job.objects.filter(among(job_ids)).order_by().annotate(success_for=latest)
    return dict(rows.filter(success_for__isnull=False).values_list("pk", "success_for"))


def latest_runs(job_ids: Sequence[UUID], count: int = 20) -> dict[UUID, list[Run]]:
    """The latest executions of each of these jobs, oldest first. One query, which reads only the rows that it
    returns.
    """
    if not job_ids:
        return {}
    field = Job._meta.pk
    keys = [field.get_db_prep_value(pk, connection) for pk in job_ids]
    marks = ", ".join(["%s"] * len(keys))
    executions, jobs = Execution._meta.db_table, Job._meta.db_table
    # Only table names and placeholders are put into the statement.
    sql = (
        "SELECT e.id, e.job_id, e.status, e.started_at, e.duration_seconds "  # noqa: S608
        f"FROM {jobs} j JOIN {executions} e ON e.id IN "
        f"(SELECT x.id FROM {executions} x WHERE x.job_id = j.id "
        f"ORDER BY x.started_at DESC, x.id DESC LIMIT {int(count)}) "
        f"WHERE j.id IN ({marks})"
    )
    found: dict[UUID, list[Run]] = {pk: [] for pk in job_ids}
    for execution_id, job_id, *rest in rows_of(Execution, ("id", "job", *Run._fields[1:]), sql, keys):
        found[job_id].append(Run(execution_id, *rest))
    for runs in found.values():
        runs.sort(key=lambda run: (run.started_at, run.id))
    return found


def last_failures(job_ids: Sequence[UUID]) -> dict[UUID, Execution]:
    """The latest failed execution of each of these jobs that has one."""
    of_job = Execution.objects.filter(job=OuterRef("pk"), status=Status.FAILED).newest_first()
    latest = Job.objects.filter(pk__in=job_ids).annotate(failure=Subquery(of_job.values("pk")[:1])).order_by()
    return {row.job_id: row for row in Execution.objects.filter(pk__in=latest.values("failure"))}


def since_hours(hours: int) -> dt.datetime:
    """The start of the hour `hours` hours ago."""
    return timezone.now().replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=hours)


def total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sum of counts by status."""
    added: dict[str, int] = {}
    for one in counts:
        for status, count in one.items():
            added[status] = added.get(status, 0) + count
    return added


def waits() -> dict[str, int]:
    """The number of open executions by what they wait for: `jitter`, `budget`, `limit` and `retry` within the workers,
    as of their last heartbeat; `turn`, queued behind another execution of their job; `worker`, not claimed yet.
    """
    found = dict.fromkeys(("jitter", "budget", "limit", "retry", "turn", "worker"), 0)
    for phases in Worker.objects.values_list("phases", flat=True):
        for reason in ("jitter", "budget", "limit", "retry"):
            found[reason] += (phases or {}).get(reason, 0)
    found["turn"] = Execution.objects.filter(status=Status.QUEUED).count()
    found["worker"] = Execution.objects.unclaimed().count()
    return found
