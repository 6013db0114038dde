"""Jobs: `/api/v2/jobs`. Running them is in `executions.api`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrMayCreateJobs, require_login
from core.api import openapi, payload
from core.api.errors import Invalid, invalid_field
from core.api.json import JsonObjectParser, body_of
from core.api.openapi import endpoint, param, shape
from core.api.pagination import Page
from core.api.timestamps import local_iso
from jobs import services
from jobs.advice import warnings_of
from jobs.filters import JobFilter
from jobs.models import Job, Revision
from jobs.schedules.schedule import Schedule
from jobs.serializers import (
    BULK_ANSWER,
    JOB_NAME,
    WARNINGS,
    BulkBody,
    ExpressionBody,
    JobBody,
    JobChanges,
    JobRow,
    JobSerializer,
    PreviewBody,
    bulk_answer,
)
from jobs.transfer.importing import import_jobs

_JOB_ANSWER = shape("JobAnswer", message=openapi.text(), job=JobSerializer(), warnings=WARNINGS)
_LIST_QUERY = [
    param("search", "Part of the name, the target or the team."),
    param("ordering", "name, created_at, updated_at, end_date, next_execution_at, last_execution_at; '-' turns it."),
    param("is_active", "true or false."),
    param("category", "Slug of the category."),
    param("pic_team", "Slug of the PIC team."),
    param("created_by", "Id of the owner."),
    param("last_status", "Outcome of the last execution."),
    param("page", "Page number; with it the list comes in pages.", int),
    param("limit", "Jobs a page, 1 to 200 (20).", int),
]


def _answer(message: str, job: Job) -> dict[str, Any]:
    return {"message": message, "job": JobSerializer.of(JobRow.of(job)), "warnings": warnings_of(job)}


def job_list_etag(request: Request) -> str:
    """The ETag of the job list. It changes with every change of a job, and every minute, because next fire times
    change then. It differs by reader, because secrets are masked for some.
    """
    minute = int(timezone.now().timestamp() // 60)
    reader = require_login(request)
    return f'W/"{Revision.current()}-{minute}-{reader.pk}-{reader.role}"'


class JobsView(APIView):
    """List and create jobs."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape(
            "JobList",
            count=openapi.whole(),
            jobs=JobSerializer(many=True),
            total=openapi.whole(required=False),
            page=openapi.whole(required=False),
            limit=openapi.whole(required=False),
            total_pages=openapi.whole(required=False),
        ),
        query=_LIST_QUERY,
    )
    def get(self, request: Request) -> HttpResponseBase:
        """All jobs, newest first. A conditional request for an unchanged list costs one small query and is answered
        304.
        """
        etag = job_list_etag(request)
        unchanged = get_conditional_response(request._request, etag=etag)
        if unchanged is not None:
            return unchanged
        jobs = _filtered(request)
        now, reader = timezone.now(), require_login(request)
        if {"page", "limit"} & set(request.query_params):
            page = Page.of(jobs, request.query_params)
            shown = JobSerializer.of_all(map(JobRow.of, page.items), now=now, reader=reader)
            body = {"count": len(shown), "jobs": shown, **page.body()}
        else:
            shown = JobSerializer.of_all(JobRow.all_of(jobs), now=now, reader=reader)
            body = {"count": len(shown), "jobs": shown}
        return Response(body, headers={"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"})

    @endpoint(_JOB_ANSWER, 403, status=201, body=JobBody)
    def post(self, request: Request) -> Response:
        job = services.create_job(body_of(request), by=require_login(request))
        return Response(_answer("Job created successfully", job), status.HTTP_201_CREATED)


class JobView(APIView):
    """One job."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("JobDetail", job=JobSerializer()), 404)
    def get(self, request: Request, job_id: str) -> Response:
        job = JobRow.of(services.get_job(job_id))
        return Response({"job": JobSerializer.of(job, reader=require_login(request))})

    @endpoint(_JOB_ANSWER, 403, 404, body=JobChanges)
    def put(self, request: Request, job_id: str) -> Response:
        user = require_login(request)
        services.require_owner(services.get_job(job_id), user)
        job = services.update_job(job_id, body_of(request), by=user)
        return Response(_answer("Job updated successfully", job))

    @endpoint(shape("JobDeleted", message=openapi.text(), deleted_job=JOB_NAME), 403, 404)
    def delete(self, request: Request, job_id: str) -> Response:
        job = services.delete_job(job_id, by=require_login(request))
        return Response({"message": "Job deleted successfully", "deleted_job": {"id": str(job_id), "name": job.name}})


class ValidateCronView(APIView):
    """Report whether a cron expression is valid; if not, why."""

    @endpoint(
        shape(
            "CronValidity",
            valid=openapi.flag(),
            message=openapi.text(),
            error=openapi.text(required=False),
        ),
        body=ExpressionBody,
    )
    def post(self, request: Request) -> Response:
        sent = body_of(request)
        try:
            _schedule(sent)
        except Invalid as exc:
            return Response({"valid": False, "error": exc.error, "message": exc.message})
        return Response({"valid": True, "message": "Valid cron expression"})


class CronPreviewView(APIView):
    """The next fire times of an expression."""

    @endpoint(
        shape(
            "CronPreview",
            timezone=openapi.text(),
            next_runs=serializers.ListField(child=serializers.DateTimeField()),
            count=openapi.whole(),
            times=serializers.ListField(
                child=serializers.DictField(), help_text="The same, and the times that closed days skip, in order."
            ),
        ),
        body=PreviewBody,
    )
    def post(self, request: Request) -> Response:
        count = body_of(request).get("count")
        count = 5 if count is None else count
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise invalid_field("count", "'count' must be a whole number from 1 to 20.")
        schedule = _schedule(body_of(request))
        outlook = schedule.outlook(min(count, 20), timezone.now())
        runs = [one.moment for one in outlook if one.runs]
        return Response(
            {
                "timezone": str(settings.SCHEDULER_ZONE),
                "next_runs": [local_iso(run, settings.SCHEDULER_ZONE) for run in runs],
                "count": len(runs),
                "times": [
                    {
                        "at": local_iso(one.moment, schedule.zone),
                        "runs": one.runs,
                        "nominal_for": local_iso(one.nominal, schedule.zone),
                        "reason": one.reason or None,
                    }
                    for one in outlook
                ],
            }
        )


class CronDescriptionView(APIView):
    """A cron expression described in words."""

    @endpoint(shape("CronDescription", description=openapi.text()), body=ExpressionBody)
    def post(self, request: Request) -> Response:
        return Response({"description": _schedule(body_of(request)).describe()})


class BulkUploadView(APIView):
    """Create many jobs from a CSV file. Valid rows are created even if others fail."""

    permission_classes = (ReadOrMayCreateJobs,)
    parser_classes = (MultiPartParser, FormParser, JsonObjectParser)

    @endpoint(BULK_ANSWER, 403, body={"multipart/form-data": BulkBody})
    def post(self, request: Request) -> Response:
        file = request.FILES.get("file")
        if file is None:
            raise invalid_field("file", "Send the CSV as the field 'file' of a multipart form.", error="Missing file")
        dry_run = payload.query_flag(request.POST, "dry_run")
        owner = payload.text(request.POST.get("default_github_owner"), "default_github_owner", limit=100)
        found = import_jobs(file.read(), by=require_login(request), dry_run=dry_run, default_owner=owner)
        failed = bool(found.errors) and not found.jobs
        return Response(bulk_answer(found, dry_run, failed), 400 if failed else 200)


def _schedule(data: dict[str, Any]) -> Schedule:
    value = data["expression"] if data.get("expression") is not None else data.get("cron_expression")
    return services.trial_schedule(value, data, field="expression")


def _filtered(request: Request) -> QuerySet[Job]:
    jobs = Job.objects.select_related("category", "pic_team")
    found = JobFilter(request.query_params, jobs, request=request)
    if not found.is_valid():
        fields = {name: [str(m) for m in messages] for name, messages in found.errors.items()}
        raise Invalid("Invalid query", "A query parameter cannot be used.", fields=fields)
    wanted: QuerySet[Job] = found.qs
    return wanted
