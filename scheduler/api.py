"""The scheduler: `/api/v2/scheduler`."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdmin, require_login
from contract import schema
from contract.schema import endpoint, param, shape
from contract.times import utc_ms
from jobs.services import get_job
from scheduler import services
from scheduler.explain import explain, read_moment
from scheduler.models import Leadership


class StatusView(APIView):
    """Who leads, and how it goes."""

    permission_classes = (IsAdmin,)

    @endpoint(
        shape(
            "SchedulerStatus",
            scheduler_running=schema.flag(),
            scheduler_is_leader=schema.flag(),
            scheduled_jobs_count=schema.whole(),
            last_resync_at=schema.timestamp(allow_null=True),
            leader_id=schema.text(allow_null=True),
            heartbeat_at=schema.timestamp(allow_null=True),
            heartbeat_age_seconds=serializers.FloatField(allow_null=True),
            fencing_token=schema.whole(),
            backlog=schema.whole(),
            schedules=schema.whole(),
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
    """Have the leader reconcile now."""

    permission_classes = (IsAdmin,)

    @endpoint(
        shape(
            "ResyncAnswer",
            message=schema.text(),
            ran_at=schema.timestamp(),
            db_jobs_total=schema.whole(),
            db_jobs_active=schema.whole(),
            scheduled_now=schema.whole(),
            scheduled_added=schema.whole(),
            scheduled_removed=schema.whole(),
            expired_auto_paused=schema.whole(),
            orphaned_removed=schema.whole(),
            invalid_cron=schema.whole(),
        ),
        403,
        409,
    )
    def post(self, request: Request) -> Response:
        return Response({"message": "Scheduler resync completed", **services.resync(require_login(request))})


class ExplainView(APIView):
    """Why a job did or did not run at a time, or will."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "Explanation",
            job_id=schema.text(),
            job_name=schema.text(),
            at=schema.timestamp(),
            answer=schema.text(),
            message=schema.text(),
            facts=serializers.DictField(),
        ),
        404,
        query=[
            param("at", "The minute in question, such as 2026-03-01T09:00; in the scheduler's zone without an offset.")
        ],
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        explanation = explain(job, read_moment(request.query_params.get("at")))
        return Response({"job_id": str(job.pk), "job_name": job.name, **explanation.body()})
