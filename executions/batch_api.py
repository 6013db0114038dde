"""Runs that users ask for: `/api/v2/jobs/{id}/single-runs`, `/api/v2/jobs/{id}/fill`, `/api/v2/batches`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrMayCreateJobs, require_login
from core.api import openapi, payload
from core.api.json import body_of
from core.api.openapi import endpoint, param, shape
from core.api.pagination import Page
from core.api.timestamps import utc_ms
from core.masking import masked, masked_url
from executions.batches import fill, single_run
from executions.batches.progress import Progress, cancel, get_batch, pause, progress_of, resume
from executions.models import MOST_AT_ONCE, Batch, BatchRun
from executions.serializers import ExecuteBody
from jobs.services import get_job, may_read_secrets, require_owner


class SingleRunSerializer(openapi.Representation[BatchRun]):
    """A single run to come."""

    id = serializers.IntegerField()
    job_id = serializers.UUIDField()
    at = openapi.timestamp()
    overrides = serializers.DictField(allow_null=True, help_text="Secrets are masked for who may not edit the job.")
    made_by = serializers.CharField(allow_null=True)

    def to_representation(self, run: BatchRun) -> dict[str, Any]:
        by, shown = run.batch.by, run.overrides
        if shown and self.context.get("masked", True):
            shown = masked(shown)
            if isinstance(shown.get("target_url"), str):
                shown["target_url"] = masked_url(shown["target_url"])
        return {
            "id": run.pk,
            "job_id": str(run.job_id),
            "at": utc_ms(run.due_at),
            "overrides": shown,
            "made_by": by.email if by else None,
        }


class BatchSerializer(openapi.Representation[Batch]):
    """A batch and how far it is."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    made_by = serializers.CharField(allow_null=True)
    created_at = openapi.timestamp()
    cancelled_at = openapi.timestamp(allow_null=True)
    paused_at = openapi.timestamp(allow_null=True)
    at_once = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE)
    progress = shape(
        "BatchProgress",
        done=openapi.whole(),
        failed=openapi.whole(),
        open=openapi.whole(),
        left=openapi.whole(),
    )

    def _progress(self, batch: Batch) -> Progress:
        known: dict[Any, Progress] = self.context.get("progress") or progress_of([batch])
        return known[batch.pk]

    def to_representation(self, batch: Batch) -> dict[str, Any]:
        return {
            "id": str(batch.pk),
            "title": batch.title,
            "made_by": batch.by.email if batch.by else None,
            "created_at": utc_ms(batch.created_at),
            "cancelled_at": utc_ms(batch.cancelled_at),
            "paused_at": utc_ms(batch.paused_at),
            "at_once": batch.at_once,
            "progress": self._progress(batch)._asdict(),
        }


class SingleRunBody(ExecuteBody):
    at = serializers.DateTimeField(help_text="A time to come; without an offset it is in the job's time zone.")
    force = None  # type: ignore[assignment]
    github_token = None  # type: ignore[assignment]


@openapi.example("The failed runs of one night", which="failed", at_once=3, dry_run=True)
class FillBody(serializers.Serializer[Any]):
    which = serializers.ChoiceField(fill.WHICH, default="gaps")
    at_once = serializers.IntegerField(default=1, min_value=1, max_value=fill.MOST_AT_ONCE)
    dry_run = serializers.BooleanField(default=False, help_text="List the fire times, run nothing.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is a keyword of Python.
        return {"from": serializers.DateTimeField(), "to": serializers.DateTimeField(), **super().get_fields()}


class FilledSerializer(openapi.Representation[fill.Gap]):
    """A fire time that is filled."""

    fire_time = openapi.timestamp()
    execution_id = serializers.UUIDField(allow_null=True, help_text="The execution that is replaced.")
    status = serializers.CharField(allow_null=True, help_text="Its status.")

    def to_representation(self, one: fill.Gap) -> dict[str, Any]:
        found = one.execution
        return {
            "fire_time": utc_ms(one.fire_time),
            "execution_id": str(found.pk) if found else None,
            "status": found.status if found else None,
        }


class SingleRunsView(APIView):
    """Single runs of a job to come."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("SingleRunList", single_runs=SingleRunSerializer(many=True)), 404)
    def get(self, request: Request, job_id: str) -> Response:
        job = get_job(job_id)
        hidden = not may_read_secrets(job.created_by_id, require_login(request))
        return Response({"single_runs": SingleRunSerializer.of_all(single_run.waiting(job), masked=hidden)})

    @endpoint(
        shape("SingleRunPlanned", message=openapi.text(), single_run=SingleRunSerializer()),
        403,
        404,
        status=201,
        body=SingleRunBody,
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Let the job run at a time to come. Windows and the misfire policy decide then, as for its fire times."""
        run = single_run.plan(job_id, body_of(request), by=require_login(request))
        shown = SingleRunSerializer.of(run, masked=False)
        return Response({"message": "Single run planned", "single_run": shown}, status.HTTP_201_CREATED)


class SingleRunView(APIView):
    """One single run to come."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(shape("SingleRunCancelled", message=openapi.text()), 403, 404, 409)
    def delete(self, request: Request, job_id: str, run_id: str) -> Response:
        """Cancel it."""
        single_run.cancel(get_job(job_id), run_id, by=require_login(request))
        return Response({"message": "Single run cancelled"})


class FillView(APIView):
    """Run a job for fire times of the past, at most 1,000, by the schedules that were in force then."""

    permission_classes = (ReadOrMayCreateJobs,)

    @endpoint(
        shape(
            "FillAnswer",
            message=openapi.text(),
            fire_times=FilledSerializer(many=True),
            batch=BatchSerializer(allow_null=True),
        ),
        403,
        404,
        body=FillBody,
    )
    def post(self, request: Request, job_id: str) -> Response:
        data, user = body_of(request), require_login(request)
        job = get_job(job_id)
        require_owner(job, user)
        asked = fill.read(job, data)
        is_trial = payload.boolean(data.get("dry_run", False), "dry_run")
        found = fill.gaps(job, asked)
        batch = None if is_trial else fill.create(job, found, asked, by=user)
        message = f"{len(found)} fire times would be filled" if is_trial else f"{len(found)} fire times are filled"
        return Response(
            {
                "message": message,
                "fire_times": FilledSerializer.of_all(found),
                "batch": BatchSerializer.of(batch) if batch else None,
            }
        )


class BatchesView(APIView):
    """Batches, newest first."""

    permission_classes = (IsAuthenticated,)

    @endpoint(
        openapi.page_shape("BatchPage", batches=BatchSerializer(many=True)),
        query=[param("page", "Page number (1).", int), param("limit", "How many, 1 to 200.", int)],
    )
    def get(self, request: Request) -> Response:
        page = Page.of(Batch.objects.select_related("by"), request.query_params)
        known = progress_of(page.items)
        return Response({"batches": BatchSerializer.of_all(page.items, progress=known), **page.body()})


class BatchView(APIView):
    """One batch."""

    permission_classes = (IsAuthenticated,)

    @endpoint(shape("BatchDetail", batch=BatchSerializer()), 404)
    def get(self, request: Request, batch_id: str) -> Response:
        return Response({"batch": BatchSerializer.of(get_batch(batch_id))})


class BatchVerbView(APIView):
    """`cancel`, `pause` or `resume` the runs of a batch that are left to start."""

    permission_classes = (ReadOrMayCreateJobs,)
    verb: Any = None
    said = ""

    @endpoint(shape("BatchChanged", message=openapi.text(), batch=BatchSerializer()), 403, 404, 409)
    def post(self, request: Request, batch_id: str) -> Response:
        type(self).verb(get_batch(batch_id), by=require_login(request))
        return Response({"message": self.said, "batch": BatchSerializer.of(get_batch(batch_id))})


class CancelBatchView(BatchVerbView):
    """Start none of the runs that are left; what has started goes on."""

    verb, said = staticmethod(cancel), "Batch cancelled"


class PauseBatchView(BatchVerbView):
    """Start no further run until it is resumed."""

    verb, said = staticmethod(pause), "Batch paused"


class ResumeBatchView(BatchVerbView):
    """Start the runs that are left."""

    verb, said = staticmethod(resume), "Batch resumed"
