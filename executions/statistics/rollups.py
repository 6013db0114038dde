"""Rollups: counts of executions by hour, for each job and for all jobs. Statistics and charts read them, so their
cost does not grow with the history.

Every transaction that ends executions updates the rollups too. They remain when retention deletes executions.
`rebuild` computes them again from the stored executions. See docs/decisions/rollups.md.
"""

from __future__ import annotations

import datetime as dt
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.api.timestamps import DateRange
from core.db.bulk import add_up
from executions.models import OPEN, Execution, FireLagBucket, Rollup, Status, Total
from executions.statistics.total_count import bump_history_version, recent_begins
from jobs.models import Job
from jobs.targets import kinds

ENDED = (Status.SUCCESS, Status.FAILED, Status.CANCELLED, Status.SKIPPED, Status.MISSED)
# Upper bounds of the fire lag buckets in seconds; the last bucket has no bound.
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1e9)
_COUNTS = tuple(status.value for status in ENDED)
_COLUMNS = (*_COUNTS, "seconds", "success_seconds")
_SHARDS = 8
# The shard for the counts of deleted jobs, so that exported counters never decrease.
FORGOTTEN = 99
# Hours whose executions may still end keep their shards.
_KEPT_APART = dt.timedelta(days=2)
_HOURS_AT_ONCE = 24
# The hour under which the fire lag of all past days is kept.
_ALL_PAST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HOUR = dt.timedelta(hours=1)


class Ended(NamedTuple):
    """An execution that has ended. `fire_lag`: seconds from fire time to first call, if both exist."""

    job_id: UUID
    kind: str
    started_at: dt.datetime
    status: Status
    seconds: float | None
    fire_lag: float | None = None


def hour_of(moment: dt.datetime) -> dt.datetime:
    """The start of the hour of a datetime, in UTC."""
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def count(ended: Iterable[Ended]) -> None:
    """Count executions that have just ended. Call it in the transaction that ends them."""
    jobs: defaultdict[tuple[UUID, dt.datetime, str], _Sum] = defaultdict(_Sum)
    totals: defaultdict[tuple[dt.datetime, str], _Sum] = defaultdict(_Sum)
    late: defaultdict[tuple[dt.datetime, float], list[float]] = defaultdict(list)
    border, is_past = recent_begins(), False
    for one in ended:
        hour = hour_of(one.started_at)
        is_past |= hour < border
        jobs[one.job_id, hour, one.kind].add(one)
        totals[hour, one.kind].add(one)
        if one.fire_lag is not None:
            late[hour, BOUNDS[bisect_left(BOUNDS, one.fire_lag)]].append(one.fire_lag)
    if is_past:
        bump_history_version()
    shard = os.getpid() % _SHARDS
    # Sorted, so that concurrent transactions cannot deadlock.
    add_up(
        Rollup,
        ("job", "hour", "kind"),
        (*_COLUMNS, "longest"),
        [(*key, *jobs[key].columns(), jobs[key].longest) for key in sorted(jobs, key=_place)],
        largest="longest",
    )
    add_up(
        Total,
        ("hour", "kind", "shard"),
        _COLUMNS,
        [(*key, shard, *one.columns()) for key, one in sorted(totals.items())],
    )
    add_up(
        FireLagBucket,
        ("hour", "bound", "shard"),
        ("count", "seconds"),
        [(*key, shard, len(values), sum(values)) for key, values in sorted(late.items())],
    )


def _place(key: tuple[UUID, dt.datetime, str]) -> tuple[int, dt.datetime, str]:
    # UUIDs compare in Python, numbers in C.
    return key[0].int, *key[1:]


def move(before: Ended, after: Ended) -> None:
    """Count an ended execution differently, because the outcome of its work elsewhere has changed. Call it in the
    transaction that changes it.
    """
    hour, shard = hour_of(before.started_at), os.getpid() % _SHARDS
    change = _Sum()
    change.add(before, times=-1)
    change.add(after)
    job, total = (before.job_id, hour, before.kind), (hour, before.kind, shard)
    add_up(
        Rollup,
        ("job", "hour", "kind"),
        (*_COLUMNS, "longest"),
        [(*job, *change.columns(), max(0.0, change.longest))],
        largest="longest",
    )
    add_up(Total, ("hour", "kind", "shard"), _COLUMNS, [(*total, *change.columns())])
    if hour < recent_begins():
        bump_history_version()


class _Sum:
    """The numbers of one row."""

    __slots__ = ("counts", "longest", "seconds", "success_seconds")

    def __init__(self) -> None:
        self.counts = dict.fromkeys(_COUNTS, 0)
        self.seconds = self.success_seconds = self.longest = 0.0

    def add(self, one: Ended, times: int = 1) -> None:
        self.counts[one.status.value] += times
        self.seconds += times * (one.seconds or 0.0)
        if one.status == Status.SUCCESS and one.seconds:
            self.success_seconds += times * one.seconds
            self.longest = max(self.longest, one.seconds)

    def columns(self) -> tuple[Any, ...]:
        return (*self.counts.values(), self.seconds, self.success_seconds)


def forget_jobs(job_ids: Sequence[UUID]) -> None:
    """Move the counts of jobs that are about to be deleted to the shard that statistics leave out.

    It takes the same locks in the same order as the transactions that end executions.
    """
    for rows, order in (
        (Execution.objects.filter(job__in=job_ids, status__in=OPEN), ("pk",)),
        (Job.objects.filter(pk__in=job_ids), ("next_run_at", "id")),
        (Rollup.objects.filter(job__in=job_ids), ("job", "hour", "kind")),
    ):
        list(rows.order_by(*order).select_for_update(of=("self",)).values_list("pk", flat=True))
    bump_history_version()
    sums = Rollup.objects.filter(job__in=job_ids).order_by().values_list("hour", "kind")
    moved = []
    for hour, kind, *values in sums.annotate(**{f"sum_{name}": Sum(name) for name in _COLUMNS}):
        moved += [(hour, kind, 0, *(-value for value in values)), (hour, kind, FORGOTTEN, *values)]
    add_up(Total, ("hour", "kind", "shard"), _COLUMNS, sorted(moved))


class Counts(NamedTuple):
    """Totals of a period by outcome. `average` and `success_average`: mean seconds of ended and of successful
    executions, None without any.

    Fire times that were skipped or missed are not counted.
    """

    total: int
    success: int
    failed: int
    running: int
    average: float | None
    success_average: float | None


def counts(span: DateRange, job_id: UUID | None = None) -> Counts:
    """The totals of a period, of all jobs or of one. Whole hours come from the rollups, the partial hours at both
    ends from executions.
    """
    whole = _whole_hours(span)
    rows = Rollup.objects.filter(job=job_id) if job_id else Total.objects.exclude(shard=FORGOTTEN)
    sums = _summed(rows.filter(**whole.lookup("hour")))
    for edge in _edges(span, whole):
        found = Execution.objects.filter(**edge.lookup("started_at"), status__in=ENDED)
        for name, value in _aggregated(found.filter(job=job_id) if job_id else found).items():
            sums[name] += value
    still = Execution.objects.filter(**span.lookup("started_at"), status__in=OPEN)
    running = (still.filter(job=job_id) if job_id else still).count()
    ended = sums["success"] + sums["failed"] + sums["cancelled"]
    return Counts(
        total=ended + running,
        success=sums["success"],
        failed=sums["failed"],
        running=running,
        average=sums["seconds"] / ended if ended else None,
        success_average=sums["success_seconds"] / sums["success"] if sums["success"] else None,
    )


def _whole_hours(span: DateRange) -> DateRange:
    start, end = span.start, span.end
    first = None if start is None else hour_of(start) if start == hour_of(start) else hour_of(start) + _HOUR
    last = None if end is None else hour_of(end)
    if first is not None and last is not None and last < first:
        last = first
    return DateRange(first, last)


def _edges(span: DateRange, whole: DateRange) -> Iterator[DateRange]:
    if span.start is not None and whole.start is not None and span.start < whole.start:
        yield DateRange(span.start, min(whole.start, span.end) if span.end else whole.start)
    if span.end is not None and whole.end is not None and whole.end < span.end:
        begin = max(whole.end, whole.start) if whole.start else whole.end
        if begin < span.end:
            yield DateRange(begin, span.end)


def _summed(rows: Any) -> dict[str, Any]:
    found: dict[str, Any] = rows.order_by().aggregate(
        **{f"sum_{name}": Coalesce(Sum(name), 0) if name in _COUNTS else Coalesce(Sum(name), 0.0) for name in _COLUMNS}
    )
    return {name: found[f"sum_{name}"] for name in _COLUMNS}


def _measures() -> dict[str, Any]:
    """The aggregates that count executions."""
    by_status: dict[str, Any] = {f"n_{name}": Count("id", filter=Q(status=name)) for name in _COUNTS}
    ran = ~Q(status__in=[Status.SKIPPED, Status.MISSED])
    return by_status | {
        "n_seconds": Coalesce(Sum("duration_seconds", filter=ran), 0.0),
        "n_success_seconds": Coalesce(Sum("duration_seconds", filter=Q(status=Status.SUCCESS)), 0.0),
    }


def _aggregated(executions: Any) -> dict[str, Any]:
    found = executions.order_by().aggregate(**_measures())
    return {name: found[f"n_{name}"] for name in _COLUMNS}


def by_hour(
    since: dt.datetime, jobs: QuerySet[Job] | None = None, *, until: dt.datetime | None = None
) -> dict[dt.datetime, dict[str, int]]:
    """The number of executions that began in each hour since `since` and before `until`, by status; of some jobs, or of
    all.
    """
    span = DateRange(hour_of(since), until)
    found: defaultdict[dt.datetime, dict[str, int]] = defaultdict(dict)
    kept: Any = Total.objects.exclude(shard=FORGOTTEN) if jobs is None else Rollup.objects.filter(job__in=jobs)
    rows = kept.filter(**span.lookup("hour")).order_by().values_list("hour")
    for hour, *values in rows.annotate(**{f"sum_{name}": Sum(name) for name in _COUNTS}):
        found[hour] = {name: value for name, value in zip(_COUNTS, values, strict=True) if value}
    still = Execution.objects.filter(**DateRange(since, until).lookup("started_at"), status__in=OPEN)
    still = still if jobs is None else still.filter(job__in=jobs)
    for started_at, status in still.values_list("started_at", "status"):
        counts = found[hour_of(started_at)]
        counts[status] = counts.get(status, 0) + 1
    return dict(found)


def most_failing(since: dt.datetime, count: int = 5, jobs: QuerySet[Job] | None = None) -> list[Any]:
    """The jobs with the most failed executions since `since` (whole hours): id, name, number, hour of the latest."""
    failed = _hours_of(jobs).filter(failed__gt=0, hour__gte=hour_of(since)).order_by()
    rows = failed.values("job_id").annotate(failed_runs=Sum("failed"), latest=Max("hour"))
    found = _named(rows.order_by("-failed_runs", "-latest", "job_id")[:count])
    return [{**row, "failed": row["failed_runs"]} for row in found]


def _hours_of(jobs: QuerySet[Job] | None) -> QuerySet[Rollup]:
    """The hours of some jobs, or of all that are not deleted; without a join, which would read every job."""
    if jobs is None:
        return Rollup.objects.exclude(job__in=Job.with_deleted.deleted())
    return Rollup.objects.filter(job__in=jobs)


def _named(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Rows about jobs, with the jobs' names."""
    found = list(rows)
    names = dict(Job.objects.filter(pk__in={row["job_id"] for row in found}).values_list("pk", "name"))
    return [{**row, "job__name": names[row["job_id"]]} for row in found if row["job_id"] in names]


def mean_seconds(kind: str, since: dt.datetime) -> float | None:
    """The mean duration of the successes of a kind of target since `since` (whole hours); None without any."""
    found = Total.objects.filter(kind=kind, hour__gte=hour_of(since)).exclude(shard=FORGOTTEN)
    sums = found.aggregate(number=Sum("success"), seconds=Sum("success_seconds"))
    return sums["seconds"] / sums["number"] if sums["number"] else None


def slowest(since: dt.datetime, count: int = 5, jobs: QuerySet[Job] | None = None) -> list[Any]:
    """The jobs with the longest successful execution since `since` (whole hours): id, name, seconds."""
    done = _hours_of(jobs).filter(longest__gt=0, hour__gte=hour_of(since))
    # A job has at most one row an hour and status, so this many rows contain enough jobs without grouping.
    hours = int((timezone.now() - hour_of(since)) / _HOUR) + 1
    most = len(kinds.registered()) * hours * count
    found: dict[UUID, Any] = {}
    for row in done.order_by("-longest", "job_id").values("job_id", "longest")[:most]:
        if len(found) < count:
            found.setdefault(row["job_id"], row)
    return _named(found.values())


def fold() -> int:
    """Merge the shards of hours that are over, and the fire lag of all past days into one row for each bound; returns
    the number of rows that are gone. Only sums of them are read, such as by `/metrics`, so nothing changes but their
    number.
    """
    border = hour_of(timezone.now()) - _KEPT_APART
    gone = 0
    while hours := list(
        _apart().filter(hour__lt=border).values_list("hour", flat=True).distinct().order_by("hour")[:_HOURS_AT_ONCE]
    ):
        gone += _fold_totals(hours)
    old = FireLagBucket.objects.filter(hour__gt=_ALL_PAST, hour__lt=border)
    while hours := list(old.values_list("hour", flat=True).distinct().order_by("hour")[:_HOURS_AT_ONCE]):
        gone += _fold_fire_lag(hours)
    return gone


@transaction.atomic
def _fold_fire_lag(hours: Sequence[dt.datetime]) -> int:
    # Locked in the order of `count`, so that no outcome is added to a row that is about to go.
    found = FireLagBucket.objects.filter(hour__in=hours).order_by("hour", "bound", "shard").select_for_update()
    rows = list(found)
    sums: defaultdict[float, list[float]] = defaultdict(lambda: [0, 0.0])
    for row in rows:
        sums[row.bound] = [sums[row.bound][0] + row.count, sums[row.bound][1] + row.seconds]
    FireLagBucket.objects.filter(pk__in=[row.pk for row in rows]).delete()
    kept = [(_ALL_PAST, bound, 0, int(count), seconds) for bound, (count, seconds) in sorted(sums.items())]
    add_up(FireLagBucket, ("hour", "bound", "shard"), ("count", "seconds"), kept)
    return len(rows)


def _apart() -> QuerySet[Total]:
    """The rows that are not in the first shard yet."""
    return Total.objects.filter(shard__gt=0).exclude(shard=FORGOTTEN)


@transaction.atomic
def _fold_totals(hours: Sequence[dt.datetime]) -> int:
    rows = list(_apart().filter(hour__in=hours).order_by("hour", "kind", "shard").select_for_update())
    sums: defaultdict[tuple[dt.datetime, str], list[Any]] = defaultdict(lambda: [0] * len(_COLUMNS))
    for row in rows:
        values = [getattr(row, name) for name in _COLUMNS]
        sums[row.hour, row.kind] = [a + b for a, b in zip(sums[row.hour, row.kind], values, strict=True)]
    Total.objects.filter(pk__in=[row.pk for row in rows]).delete()
    kept = [(hour, kind, 0, *values) for (hour, kind), values in sorted(sums.items())]
    add_up(Total, ("hour", "kind", "shard"), _COLUMNS, kept)
    return len(rows)


def is_lacking() -> bool:
    """Whether executions exist but no rollup does."""
    return not Total.objects.exists() and Execution.objects.exclude(status__in=OPEN).exists()


def rebuild(since: dt.datetime | None = None, *, lower: bool = False) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Compute the rollups again from the stored executions, hour by hour; yields each finished hour and the last
    hour.

    Hours before `since`, and hours before the oldest stored execution, are left unchanged. No count becomes lower,
    because retention may have deleted executions that it holds; with `lower` the stored executions alone count.
    Outcomes that are recorded meanwhile wait for the current hour.
    """
    bounds = Execution.objects.aggregate(first=Min("started_at"), last=Max("started_at"))
    if bounds["first"] is None:
        return
    hour, last = hour_of(max(bounds["first"], since or bounds["first"])), hour_of(bounds["last"])
    while hour <= last:
        _rebuild_hour(hour, lower=lower)
        yield hour, last
        hour += _HOUR


@transaction.atomic
def _rebuild_hour(hour: dt.datetime, *, lower: bool) -> None:
    if connection.vendor == "postgresql":
        tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in (Rollup, Total))
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
    mine = Rollup.objects.filter(hour=hour, job__deleted_at=None).order_by()
    before = mine.values_list("job_id", "kind", *_COLUMNS, "longest")
    rows = {} if lower else {(job_id, kind): values for job_id, kind, *values in before}
    Rollup.objects.filter(pk__in=list(mine.values_list("pk", flat=True))).delete()
    Total.objects.filter(hour=hour).exclude(shard=FORGOTTEN).delete()
    span = {"started_at__gte": hour, "started_at__lt": hour + _HOUR}
    # What deleted jobs had is among the forgotten counts already.
    ended = Execution.objects.filter(**span, status__in=ENDED, job__deleted_at=None).order_by()
    longest = Coalesce(Max("duration_seconds", filter=Q(status=Status.SUCCESS)), 0.0)
    for job_id, kind, *values in ended.values_list("job_id", "execution_type").annotate(**_measures(), longest=longest):
        kept = rows.get((job_id, kind), values)
        rows[job_id, kind] = [max(pair) for pair in zip(kept, values, strict=True)]
    per_job = [(job_id, kind, *values) for (job_id, kind), values in rows.items()]
    add_up(
        Rollup,
        ("job", "hour", "kind"),
        (*_COLUMNS, "longest"),
        [(job_id, hour, kind, *values) for job_id, kind, *values in per_job],
        largest="longest",
    )
    sums: defaultdict[str, list[Any]] = defaultdict(lambda: [0] * len(_COLUMNS))
    for _job, kind, *values in per_job:
        sums[kind] = [a + b for a, b in zip(sums[kind], values[:-1], strict=True)]
    add_up(Total, ("hour", "kind", "shard"), _COLUMNS, [(hour, kind, 0, *values) for kind, values in sums.items()])
