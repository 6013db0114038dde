"""The scheduler: `/api/v2/scheduler`."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdmin, require_login
from core.api import openapi
from core.api.openapi import endpoint, param, shape
from core.api.timestamps import utc_ms
from jobs.services import get_job
from scheduler import services
from scheduler.explain import explain, read_moment
from scheduler.models import Leadership


class StatusView(APIView):
    """The state of the scheduler and its leader."""

    permission_classes = (IsAdmin,)

    @endpoint(
        shape(
            "SchedulerStatus",
            scheduler_running=openapi.flag(),
            scheduler_is_leader=openapi.flag(),
            scheduled_jobs_count=openapi.whole(),
            last_resync_at=openapi.timestamp(allow_null=True),
            leader_id=openapi.text(allow_null=True),
            heartbeat_at=openapi.timestamp(allow_null=True),
            heartbeat_age_seconds=serializers.FloatField(allow_null=True),
            fencing_token=openapi.whole(),
            backlog=openapi.whole(),
            schedules=openapi.whole(),
        ),
        403,
    )
    def get(self, request: Request) -> Response:
        leadership = Leadership.current()
        age = leadership.heartbeat_age
        return Response(
            {
                "scheduler_running": leadership.is_live,
                "scheduler_is_leader": leadership.is_live,
                "scheduled_jobs_count": services.scheduled_jobs_count(),
                "last_resync_at": utc_ms(leadership.last_resync_at),
                "leader_id": leadership.leader_id or None,
                "heartbeat_at": utc_ms(leadership.heartbeat_at),
                "heartbeat_age_seconds": None if age is None else round(age, 3),
                "fencing_token": leadership.fencing_token,
                "backlog": services.backlog(),
                "schedules": leadership.schedules,
            }
        )


class ResyncView(APIView):
    """Ask the leader for a full reconciliation."""

    permission_classes = (IsAdmin,)

    @endpoint(
        shape(
            "ResyncAnswer",
            message=openapi.text(),
            ran_at=openapi.timestamp(),
            db_jobs_total=openapi.whole(),
            db_jobs_active=openapi.whole(),
            scheduled_now=openapi.whole(),
            scheduled_added=openapi.whole(),
            scheduled_removed=openapi.whole(),
            expired_auto_paused=openapi.whole(),
            orphaned_removed=openapi.whole(),
            invalid_cron=openapi.whole(),
        ),
        403,
        409,
    )
    def post(self, request: Request) -> Response:
        return Response({"message": "Scheduler resync completed", **services.resync(require_login(request))})


class ExplainView(APIView):
    """Explain why a job did or did not run at a given time, or whether it will."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "Explanation",
            job_id=openapi.text(),
            job_name=openapi.text(),
            at=openapi.timestamp(),
            answer=openapi.text(),
            message=openapi.text(),
            facts=serializers.DictField(),
        ),
        404,
        query=[param("at", "The minute in question, such as 2026-03-01T09:00; in the job's zone without an offset.")],
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        explanation = explain(job, read_moment(request.query_params.get("at"), job.shown_zone))
        return Response({"job_id": str(job.pk), "job_name": job.name, **explanation.body()})
