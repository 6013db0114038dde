"""Prometheus metrics (`/metrics`), read from the database, so that every web process of every host returns the same
values.

Names and units follow Prometheus, "Metric and label naming". Process metrics describe the web process that answers;
`cronsched_worker_memory_bytes` is the memory of workers and scheduler, from their heartbeats. See docs/metrics.md.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from executions.celery_backend import dispatch
from executions.models import OPEN, Execution, FireLagBucket, Total, Worker
from executions.statistics.queries import waits
from executions.statistics.rollups import BOUNDS, ENDED
from jobs.models import Job
from notifications.models import Message, MessageStatus
from scheduler.models import Leadership
from scheduler.services import backlog


class Installation(Collector):
    """The metrics of the installation, from a dozen queries."""

    def collect(self) -> Iterator[Metric]:
        began = time.perf_counter()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            yield _gauge("database_up", "Whether the database answers.", 1)
            yield _gauge("database_latency_seconds", "How long it took to answer.", time.perf_counter() - began)
            yield from self._counted()
            yield from self._now()
            yield from self._waiting()
            yield from self._workers()
        except (DatabaseError, InterfaceError):
            connection.close()
            yield _gauge("database_up", "Whether the database answers.", 0)
        if settings.EXECUTION_BACKEND == "celery":
            yield from self._broker()

    def _counted(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "cronsched_executions",
            "Executions that have ended, by outcome and kind of target.",
            labels=["outcome", "kind"],
        )
        seconds = CounterMetricFamily(
            "cronsched_execution_seconds", "Seconds that executions took in all.", labels=["kind"]
        )
        names = [*(status.value for status in ENDED), "seconds"]
        for kind, *values in (
            Total.objects.order_by().values_list("kind").annotate(**{f"sum_{one}": Sum(one) for one in names})
        ):
            for name, value in zip(names[:-1], values, strict=False):
                ended.add_metric([name, kind], value)
            seconds.add_metric([kind], values[-1])
        yield ended
        yield seconds
        yield _fire_lag()

    def _now(self) -> Iterator[Metric]:
        leadership = Leadership.current()
        yield _gauge("leader", "Whether a scheduler leads.", leadership.is_live)
        yield _gauge("leader_fencing_token", "Grows with every change of leader.", leadership.fencing_token)
        if leadership.heartbeat_age is not None:
            yield _gauge(
                "leader_heartbeat_age_seconds", "Since the leader's last sign of life.", leadership.heartbeat_age
            )
        yield _gauge("jobs_active", "Jobs that are enabled.", Job.objects.active().count())
        yield _gauge("backlog_jobs", "Jobs that are due and not yet fired.", backlog())
        still = GaugeMetricFamily("cronsched_executions_open", "Executions that are not over.", labels=["status"])
        counts = dict(
            Execution.objects.filter(status__in=OPEN).order_by().values_list("status").annotate(n=Count("id"))
        )
        for status in OPEN:
            still.add_metric([status.value], counts.get(status.value, 0))
        yield still
        yield _gauge(
            "executions_unclaimed", "Executions that no worker has claimed.", Execution.objects.unclaimed().count()
        )
        messages = GaugeMetricFamily(
            "cronsched_messages", "E-mails and Slack messages that have not left.", labels=["status"]
        )
        waiting = Message.objects.exclude(status=MessageStatus.SENT).order_by().values_list("status")
        kept = dict(waiting.annotate(n=Count("id")))
        for kind in (MessageStatus.PENDING, MessageStatus.FAILED):
            messages.add_metric([kind.value], kept.get(kind.value, 0))
        yield messages

    def _waiting(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "cronsched_executions_waiting", "Executions that wait, by what they wait for.", labels=["reason"]
        )
        for reason, count in waits().items():
            waiting.add_metric([reason], count)
        yield waiting

    def _workers(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily("cronsched_worker_memory_bytes", "Resident memory.", labels=["host", "pid"])
        ages = GaugeMetricFamily(
            "cronsched_worker_heartbeat_age_seconds", "Since its last sign of life.", labels=["host", "pid"]
        )
        now = timezone.now()
        for worker in Worker.objects.all():
            labels = [worker.host, str(worker.pid)]
            memory.add_metric(labels, worker.memory_bytes or 0)
            ages.add_metric(labels, (now - worker.heartbeat_at).total_seconds())
        yield memory
        yield ages

    def _broker(self) -> Iterator[Metric]:
        began = time.perf_counter()
        messages = dispatch.waiting_messages()
        yield _gauge("broker_up", "Whether the broker answers.", messages is not None)
        if messages is not None:
            yield _gauge("broker_latency_seconds", "How long it took to answer.", time.perf_counter() - began)
            yield _gauge("broker_messages", "Messages that no worker has fetched.", messages)


def _gauge(name: str, words: str, value: Any) -> Metric:
    return GaugeMetricFamily(f"cronsched_{name}", words, value=float(value))


def _fire_lag() -> Metric:
    """The histogram of seconds from fire time to first call, without a job's own jitter."""
    counts: defaultdict[float, int] = defaultdict(int)
    total = 0.0
    rows = FireLagBucket.objects.order_by().values_list("bound").annotate(n=Sum("count"), s=Sum("seconds"))
    for bound, number, seconds in rows:
        counts[bound] += number
        total += seconds
    below, buckets = 0, []
    for bound in BOUNDS:
        below += counts[bound]
        buckets.append(("+Inf" if bound == BOUNDS[-1] else str(bound), below))
    return HistogramMetricFamily(
        "cronsched_fire_lag_seconds", "From fire time to first call.", buckets=buckets, sum_value=total
    )


_registry = CollectorRegistry()
_registry.register(Installation())
ProcessCollector(registry=_registry)
PlatformCollector(registry=_registry)


def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics in Prometheus' text format, for clients with `METRICS_TOKEN`, or for everybody with
    `METRICS_PUBLIC`.
    """
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    knows = bool(settings.METRICS_TOKEN) and constant_time_compare(given, settings.METRICS_TOKEN)
    if not (knows or settings.METRICS_PUBLIC):
        message = (
            "Send METRICS_TOKEN as 'Authorization: Bearer', or set METRICS_PUBLIC=true where nobody else can call."
        )
        return JsonResponse(
            {"error": "Metrics are not public", "message": message}, status=401 if settings.METRICS_TOKEN else 403
        )
    return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)
