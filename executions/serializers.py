"""Serializers of executions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.api import openapi
from core.api.timestamps import utc_ms
from core.masking import masked_text
from executions.completion import reports
from executions.models import Execution, Report, Status, TriggerType
from executions.runs.record import Record
from executions.targets import shown_target
from jobs.serializers import request_fields
from jobs.services import may_read_secrets
from jobs.targets import kinds


class ExecutionSerializer(openapi.Representation[Execution]):
    """An execution as the API shows it."""

    id = serializers.UUIDField()
    job_id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.choices)
    trigger_type = serializers.ChoiceField(TriggerType.choices)
    scheduled_for = openapi.timestamp(allow_null=True)
    nominal_for = openapi.timestamp(
        allow_null=True, help_text="The time that the schedule names, if a closed day moved the fire time."
    )
    started_at = openapi.timestamp()
    completed_at = openapi.timestamp(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    execution_type = serializers.CharField(help_text="The kind of target: webhook or github_actions.")
    target = serializers.CharField()
    response_status = serializers.IntegerField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    output = serializers.CharField(allow_null=True)
    attempts = serializers.ListField(child=serializers.DictField())
    run_id = serializers.IntegerField(allow_null=True, help_text="The workflow run that GitHub began, where it told.")
    run_url = serializers.CharField(allow_null=True)
    run_attempt = serializers.IntegerField(allow_null=True)
    run_conclusion = serializers.CharField(allow_null=True)
    run_duration_seconds = serializers.FloatField(allow_null=True)

    def to_representation(self, execution: Execution) -> dict[str, Any]:
        shown = self._plain(execution)
        reader = self.context.get("reader")
        if reader is not None and not may_read_secrets(execution.job.created_by_id, reader):
            shown["target"] = shown_target(execution.execution_type, execution.target)
            for name in ("output", "error_message"):
                shown[name] = masked_text(shown[name]) if shown[name] else None
            shown["attempts"] = [
                {key: masked_text(value) if isinstance(value, str) else value for key, value in one.items()}
                for one in shown["attempts"]
            ]
        return shown

    @staticmethod
    def _plain(execution: Execution) -> dict[str, Any]:
        return {
            "id": str(execution.id),
            "job_id": str(execution.job_id),
            "status": execution.status,
            "trigger_type": execution.trigger_type,
            "scheduled_for": utc_ms(execution.scheduled_for),
            "nominal_for": utc_ms(execution.nominal_for),
            "started_at": utc_ms(execution.started_at),
            "completed_at": utc_ms(execution.completed_at),
            "duration_seconds": execution.duration_seconds,
            "execution_type": execution.execution_type,
            "target": execution.target,
            "response_status": execution.response_status,
            "error_message": execution.error_message or None,
            "output": execution.output or None,
            "attempts": execution.attempts,
            "run_id": execution.run_id or None,
            "run_url": execution.run_url or None,
            "run_attempt": execution.run_attempt,
            "run_conclusion": execution.run_conclusion or None,
            "run_duration_seconds": execution.run_seconds,
        }


def _headers() -> Any:
    return serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Pairs of a name and a value."
    )


class ExchangeRequestSerializer(serializers.Serializer[Any]):
    method = serializers.CharField()
    url = serializers.CharField(help_text="With the query as it was sent.")
    headers = _headers()
    body = serializers.CharField(help_text="The first 16 KiB.")
    size = serializers.IntegerField(help_text="Bytes of the body.")


class ExchangeAnswerSerializer(serializers.Serializer[Any]):
    status = serializers.IntegerField()
    headers = _headers()
    body = serializers.CharField(help_text="The first 16 KiB.")
    timings = serializers.DictField(
        child=serializers.FloatField(), help_text="Seconds: dns, connect, tls, first_byte, total."
    )
    address = serializers.CharField(help_text="The address that answered.")


class ExchangeSerializer(serializers.Serializer[Any]):
    """The last call of an execution as it was sent, and its answer."""

    request = ExchangeRequestSerializer()
    answer = ExchangeAnswerSerializer(allow_null=True)


class NamedExecutionSerializer(ExecutionSerializer):
    """An execution with its job's name, for lists over all jobs."""

    job_name = serializers.CharField()
    github_repo = serializers.CharField(allow_null=True)

    def to_representation(self, execution: Execution) -> dict[str, Any]:
        return {
            **super().to_representation(execution),
            "job_name": execution.job.name,
            "github_repo": execution.job.github_repo or None,
        }


class FailedJobSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    step = serializers.CharField(help_text="Its first failed step; blank if GitHub names none.")
    url = serializers.CharField(help_text="Its page on GitHub; blank if GitHub names none.")
    annotations = serializers.ListField(child=serializers.CharField(), help_text="At most 5 in all jobs.")


class ReportSerializer(openapi.Representation[Report]):
    """What the receiver of a webhook told last about work that ends later, or what failed in a workflow run."""

    status = serializers.ChoiceField(Report.State.choices)
    told_at = openapi.timestamp(help_text="When it was told.")
    message = serializers.CharField(help_text="Its first 1,000 characters; blank if none was told.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Such as of tests passed and failed.")
    url = serializers.CharField(allow_null=True, help_text="Where people read more.")
    failures = FailedJobSerializer(many=True, help_text="The failed jobs of a workflow run, at most 10.")

    def to_representation(self, report: Report) -> dict[str, Any]:
        shown = reports.readable(report, is_owner=self.context["is_owner"])
        return {"status": report.status, "told_at": utc_ms(report.told_at), **shown, "url": shown["url"] or None}


class WorkflowAttemptSerializer(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    conclusion = serializers.CharField()
    started_at = openapi.timestamp(allow_null=True)
    ended_at = openapi.timestamp(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)


class TestChangeSerializer(serializers.Serializer[Any]):
    new = serializers.ListField(child=serializers.CharField(), help_text="Failing now, and not in the report before.")
    still = serializers.ListField(child=serializers.CharField(), help_text="Failing in both.")
    fixed = serializers.ListField(child=serializers.CharField(), help_text="Failing in the report before only.")


class BudgetWaitSerializer(serializers.Serializer[Any]):
    credential = serializers.CharField()
    since = openapi.timestamp()
    seconds = serializers.FloatField(allow_null=True, help_text="Null while it waits.")


class WorkflowRunSerializer(openapi.Representation[Record]):
    """What is on record of a workflow run beyond its execution."""

    attempts = WorkflowAttemptSerializer(many=True, help_text="The attempts of a run that failed or was run again.")
    is_flaky = serializers.BooleanField(help_text="It passed only when its failed jobs were run again.")
    rerun_at = openapi.timestamp(allow_null=True, help_text="When its failed jobs are run again.")
    waiting_since = openapi.timestamp(allow_null=True, help_text="Since when it waits for an approval.")
    failing_tests = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Null without a test report."
    )
    test_change = TestChangeSerializer(allow_null=True, help_text="Null without two test reports.")
    step_log = openapi.text(allow_null=True, help_text="The end of the failed step's log, if the job keeps it.")
    budget_wait = BudgetWaitSerializer(allow_null=True, help_text="How long the dispatch waited for a budget.")

    def to_representation(self, record: Record) -> dict[str, Any]:
        run, report, tests, wait = record.run, record.report, record.tests, record.wait
        return {
            "attempts": run.attempts if run else [],
            "is_flaky": bool(run and run.is_flaky),
            "rerun_at": utc_ms(run.rerun_at) if run else None,
            "waiting_since": utc_ms(run.waiting_since) if run else None,
            "failing_tests": report.failing_tests if report else None,
            "test_change": tests._asdict() if tests else None,
            "step_log": record.log.text if record.log else None,
            "budget_wait": {"credential": wait.credential, "since": utc_ms(wait.since), "seconds": wait.seconds}
            if wait
            else None,
        }


def _target_fields() -> dict[str, Any]:
    """The fields of every kind of target, for bodies that name a target."""
    return {one.name: serializers.CharField(required=False, max_length=one.limit) for one in kinds.fields()}


class ExecuteBody(serializers.Serializer[Any]):
    """Overrides for one run: metadata and the fields of the job's kind of target. A blank field keeps the stored
    value.
    """

    metadata = serializers.DictField(required=False)
    dispatch_url = serializers.CharField(required=False, help_text="GitHub jobs.")
    github_token = serializers.CharField(required=False, help_text="GitHub jobs. Held in memory only.")
    force = serializers.BooleanField(required=False, help_text="Run it also inside a window.")

    def get_fields(self) -> dict[str, Any]:
        return {**_target_fields(), **super().get_fields()}


class RerunBody(serializers.Serializer[Any]):
    """How an execution runs again."""

    failed_only = serializers.BooleanField(
        required=False, help_text="Only the failed jobs of its workflow run; the execution stays the same."
    )
    force = serializers.BooleanField(required=False, help_text="Run it also inside a window.")


class TestRunBody(serializers.Serializer[Any]):
    """A target and a request for a test run."""

    pic_team = serializers.CharField(required=False, help_text="The team for whose secrets it asks.")

    metadata = serializers.DictField(required=False)
    timeout_seconds = serializers.FloatField(default=10, min_value=1, max_value=30)

    def get_fields(self) -> dict[str, Any]:
        return {**_target_fields(), **request_fields(), **super().get_fields()}
