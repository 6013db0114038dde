"""Executions: `/api/v2/executions`, and running jobs: `/api/v2/jobs/{id}/execute`, `/api/v2/jobs/test-run`."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrMayCreateJobs, require_login
from core.api import openapi, payload
from core.api.errors import NotFound
from core.api.json import body_of
from core.api.openapi import RANGE_QUERY, RangeSerializer, endpoint, param, shape
from core.api.pagination import Page
from core.api.payload import query_int
from core.api.timestamps import DateRange
from core.runtime import parking
from executions import exchanges, services
from executions.completion import reports
from executions.filters import filtered
from executions.models import Execution, ExecutionQuerySet
from executions.runs import record
from executions.serializers import (
    ExchangeSerializer,
    ExecuteBody,
    ExecutionSerializer,
    NamedExecutionSerializer,
    ReportSerializer,
    RerunBody,
    TestRunBody,
    WorkflowRunSerializer,
)
from executions.statistics import rollups, total_count
from executions.statistics.rollups import Counts
from executions.targets import GitHubTarget
from executions.trials import try_target
from jobs.serializers import JOB_NAME
from jobs.services import get_job, may_read_secrets

_STATUS = param("status", "One or several, separated by commas.")
_TRIGGER = param("trigger_type", "scheduled or manual.")
_LIMIT = param("limit", "How many, 1 to 200.", int)


class ExecutionsView(APIView):
    """The history of all jobs, newest first."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        openapi.page_shape("ExecutionPage", executions=NamedExecutionSerializer(many=True)),
        query=[
            param("page", "Page number (1).", int),
            _LIMIT,
            param("job_id", "Id of a job."),
            _STATUS,
            _TRIGGER,
            param("execution_type", "webhook or github_actions."),
            *RANGE_QUERY,
        ],
    )
    def get(self, request: Request) -> Response:
        everything = Execution.objects.newest_first().select_related("job")
        kept = everything.of_kept_jobs()
        found, _ = filtered(kept, request.query_params)
        # While a history is being deleted, the kept total is not the list's.
        total = _total(found, request.query_params) if kept is everything else None
        page = Page.of(found, request.query_params, total=total)
        return Response(
            {"executions": NamedExecutionSerializer.of_all(page.items, reader=require_login(request)), **page.body()}
        )


class StatisticsView(APIView):
    """Totals over all jobs or one."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "ExecutionStatistics",
            total_executions=openapi.whole(),
            successful_executions=openapi.whole(),
            failed_executions=openapi.whole(),
            running_executions=openapi.whole(),
            success_rate=serializers.FloatField(),
            average_duration_seconds=serializers.FloatField(),
            range=RangeSerializer(),
        ),
        query=[param("job_id", "Id of a job."), *RANGE_QUERY],
    )
    def get(self, request: Request) -> Response:
        span = DateRange.from_query(request.query_params)
        wanted = request.query_params.get("job_id")
        counts = rollups.counts(span, payload.uuid_or_nil(wanted) if wanted else None)
        return Response(
            {
                "total_executions": counts.total,
                "successful_executions": counts.success,
                "failed_executions": counts.failed,
                "running_executions": counts.running,
                "success_rate": _rate(counts),
                "average_duration_seconds": round(counts.average or 0, 2),
                "range": span.body(),
            }
        )


class ExecutionView(APIView):
    """One execution."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "ExecutionDetail",
            execution=NamedExecutionSerializer(),
            report=ReportSerializer(allow_null=True, help_text="Null if nothing was told."),
            remedy=openapi.text(allow_null=True, help_text="What to change after a refusal of GitHub that is known."),
            workflow_run=WorkflowRunSerializer(allow_null=True, help_text="Null for other kinds of targets."),
        ),
        404,
    )
    def get(self, request: Request, execution_id: str) -> Response:
        execution = services.get_execution(execution_id)
        report, reader = reports.of(execution.pk), require_login(request)
        is_owner = may_read_secrets(execution.job.created_by_id, reader)
        return Response(
            {
                "execution": NamedExecutionSerializer.of(execution, reader=reader),
                "report": ReportSerializer.of(report, is_owner=is_owner) if report else None,
                "remedy": services.remedy(execution) or None,
                "workflow_run": WorkflowRunSerializer.of(record.of(execution))
                if execution.execution_type == GitHubTarget.kind
                else None,
            }
        )


class ExchangeView(APIView):
    """The request and the answer of an execution's last call. Secrets are placeholders."""

    permission_classes = (IsAuthenticated,)

    @endpoint(shape("ExecutionExchange", exchange=ExchangeSerializer()), 404)
    def get(self, request: Request, execution_id: str) -> Response:
        execution = services.get_execution(execution_id)
        record = exchanges.of(execution.pk)
        if record is None:
            raise NotFound("Exchange not found", "No call of this execution is on record.")
        is_owner = may_read_secrets(execution.job.created_by_id, require_login(request))
        return Response({"exchange": exchanges.readable(record, is_owner=is_owner)})


class CancelView(APIView):
    """Cancel an execution that has not ended. A workflow run that it started is cancelled on GitHub."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("Cancelled", message=openapi.text(), execution=NamedExecutionSerializer()), 403, 404, 409)
    def post(self, request: Request, execution_id: str) -> Response:
        execution = services.cancel(execution_id, by=require_login(request))
        return Response({"message": "Execution cancelled", "execution": NamedExecutionSerializer.of(execution)})


class JobExecutionsView(APIView):
    """The newest executions of one job."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "JobExecutions",
            job_id=openapi.text(),
            job_name=openapi.text(),
            total_executions=openapi.whole(),
            executions=ExecutionSerializer(many=True),
        ),
        404,
        query=[_LIMIT, _STATUS, _TRIGGER, *RANGE_QUERY],
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        limit = query_int(request.query_params, "limit", 50, most=200)
        found, _ = filtered(
            Execution.objects.newest_first().filter(job=job), request.query_params, among=("status", "trigger_type")
        )
        return Response(
            {
                "job_id": str(job.pk),
                "job_name": job.name,
                "total_executions": found.count(),
                "executions": ExecutionSerializer.of_all(
                    found.select_related("job")[:limit], reader=require_login(request)
                ),
            }
        )


class JobStatisticsView(APIView):
    """Totals and the newest execution of one job."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "JobStatistics",
            job_id=openapi.text(),
            job_name=openapi.text(),
            statistics=shape(
                "JobTotals",
                total_executions=openapi.whole(),
                success_count=openapi.whole(),
                failed_count=openapi.whole(),
                running_count=openapi.whole(),
                success_rate=serializers.FloatField(),
                average_duration_seconds=serializers.FloatField(allow_null=True),
            ),
            latest_execution=ExecutionSerializer(allow_null=True),
        ),
        404,
    )
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        counts = rollups.counts(DateRange(None, None), job.pk)
        latest = Execution.objects.newest_first().filter(job=job).select_related("job").first()
        average = counts.success_average
        return Response(
            {
                "job_id": str(job.pk),
                "job_name": job.name,
                "statistics": {
                    "total_executions": counts.total,
                    "success_count": counts.success,
                    "failed_count": counts.failed,
                    "running_count": counts.running,
                    "success_rate": _rate(counts),
                    "average_duration_seconds": None if average is None else round(average, 2),
                },
                "latest_execution": ExecutionSerializer.of(latest, reader=require_login(request)) if latest else None,
            }
        )


class JobExecutionView(APIView):
    """One execution of one job."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        shape(
            "JobExecutionDetail",
            job=JOB_NAME,
            execution=ExecutionSerializer(),
        ),
        404,
    )
    def get(self, request: Request, job_id: str, execution_id: str) -> Response:
        job = get_job(job_id)
        execution = services.get_execution(execution_id, job=job)
        shown = ExecutionSerializer.of(execution, reader=require_login(request))
        return Response({"job": {"id": str(job.pk), "name": job.name}, "execution": shown})


class RerunView(APIView):
    """Run an execution again: its job with the same values, or the failed jobs of its workflow run only."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("RunAgain", execution=ExecutionSerializer()), 403, 404, 409, 429, body=RerunBody, status=202)
    def post(self, request: Request, execution_id: str) -> Response:
        by, body = require_login(request), body_of(request)
        execution = services.get_execution(execution_id)
        force = payload.boolean(body.get("force", False), "force")
        if payload.boolean(body.get("failed_only", False), "failed_only"):
            execution = services.run_failed_jobs_again(execution, by=by, force=force)
        else:
            execution = services.run_again(execution, by=by, force=force)
        return Response({"execution": ExecutionSerializer.of(execution, reader=by)}, status=202)


class EnableWorkflowView(APIView):
    """Enable the workflow of a job on GitHub."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("WorkflowEnabled", message=openapi.text(), job_id=openapi.text()), 403, 404, 409)
    def post(self, request: Request, job_id: str) -> Response:
        job = services.enable_workflow(job_id, by=require_login(request))
        return Response({"message": "The workflow is enabled", "job_id": str(job.pk)})


class ExecuteView(APIView):
    """Run a job now."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape("Executed", message=openapi.text(), job_id=openapi.text(), execution_id=openapi.text()),
        403,
        404,
        429,
        body=ExecuteBody,
    )
    def post(self, request: Request, job_id: str) -> Response:
        execution = services.trigger_now(job_id, body_of(request), by=require_login(request))
        return Response(
            {
                "message": "Job triggered successfully",
                "job_id": str(execution.job_id),
                "execution_id": str(execution.id),
            }
        )


class TestRunView(APIView):
    """Call a target once; only the audit trail says so."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape(
            "TestRunAnswer",
            ok=openapi.flag(),
            type=serializers.ChoiceField(["webhook", "github"]),
            status_code=openapi.whole(required=False),
            error=openapi.text(required=False),
            message=openapi.text(),
        ),
        403,
        429,
        body=TestRunBody,
    )
    def post(self, request: Request) -> HttpResponse:
        run = try_target(body_of(request), by=require_login(request))
        return parking.json_answer(request, run, lambda trial: trial.answer)


def _total(found: ExecutionQuerySet, params: Mapping[str, str]) -> int | None:
    """The exact number of rows: kept by `statistics.total_count` for unfiltered lists, counted by the database
    otherwise.
    """
    if any(params.get(name) for name in ("job_id", "status", "from", "to")):
        return None
    return total_count.total(found, (params.get("execution_type", ""), params.get("trigger_type", "")))


def _rate(counts: Counts) -> float:
    return round(100 * counts.success / counts.total, 2) if counts.total else 0.0
