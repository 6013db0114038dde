"""Serializers of jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db import models
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from rest_framework import serializers

from core.api import openapi
from core.api.timestamps import local_iso, utc_ms
from jobs import services
from jobs.advice import warnings_of
from jobs.field_traits import JobField, Section, job_fields
from jobs.models import Job, first_fire, schedule_columns, schedule_from
from jobs.schedules.schedule import CronError
from jobs.targets import kinds
from jobs.transfer.importing import Import


def _parsed(text: str | None) -> Any:
    """A parsed JSON value; the text itself if it is no JSON; None for none. All rows with the same small text share it,
    so it must not be modified.
    """
    if text is None:
        return None
    return _parsed_small(text) if len(text) <= _SMALL else _parsed_small.__wrapped__(text)


@lru_cache(maxsize=2_000)
def _parsed_small(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


_SMALL = 1024
# Declared fields that the API shows as the fields of the target.
_HIDDEN = {"target_kind", "target_options"}


class _Shown(NamedTuple):
    """A key of the API's job: the column or relation that it reads, and the conversion of its value (None:
    unchanged).
    """

    key: str
    source: str
    write: Callable[[Any], Any] | None = None


def _or_none(value: Any) -> Any:
    return value or None


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _date(value: dt.date | None) -> str | None:
    return value.isoformat() if value else None


def _writer(field: JobField) -> Callable[[Any], Any] | None:
    if isinstance(field.column, models.DateField):
        return _date
    is_optional_text = isinstance(field.column, models.CharField | models.TextField) and field.column.blank
    return _or_none if is_optional_text else None


@cache
def _shown() -> tuple[_Shown, ...]:
    """What answers show of a job, and the values from which they make `next_execution_at` and target fields without a
    column.
    """
    settings_of_job = [
        _Shown(field.name, field.traits.lookup or field.name, _writer(field))
        for field in job_fields()
        if field.name not in _HIDDEN
    ]
    return (
        _Shown("id", "id", str),
        *settings_of_job,
        _Shown("created_by", "created_by_id", _id),
        _Shown("created_at", "created_at", utc_ms),
        _Shown("updated_at", "updated_at", utc_ms),
        _Shown("last_execution_at", "last_execution_at", utc_ms),
        _Shown("last_status", "last_status", _or_none),
        _Shown("problem", "problem", _or_none),
        _Shown("next_execution_at", "next_run_at"),
        _Shown("target_options", "target_options"),
        _Shown("calendar_id", "calendar_id"),
        _Shown("calendar_version", "calendar__version"),
    )


@cache
def _json_places() -> tuple[int, ...]:
    """The places in a row of the values that are JSON."""
    return tuple(place for place, one in enumerate(_shown()) if isinstance(_column(one.source), models.JSONField))


def _column(source: str) -> Any:
    return None if "__" in source else Job._meta.get_field(source.removesuffix("_id"))


class JobRow(NamedTuple):
    """The values that the API shows of a job, in the order of `_shown`.

    Plain values cost a fraction of model objects: the frontend requests lists of ten thousand jobs every few seconds.
    """

    values: tuple[Any, ...]

    @classmethod
    def of(cls, job: Job) -> JobRow:
        return cls(tuple(_value(job, one.source) for one in _shown()))

    @classmethod
    def all_of(cls, jobs: QuerySet[Job]) -> Iterator[JobRow]:
        """The rows of a queryset, in one query. JSON columns are read as text and each distinct text is parsed once."""
        columns: list[Any] = [one.source for one in _shown()]
        for place in _json_places():
            columns[place] = Cast(columns[place], TextField())
        for values in jobs.values_list(*columns):
            row = list(values)
            for place in _json_places():
                row[place] = _parsed(row[place])
            yield cls(tuple(row))


def _value(job: Job, source: str) -> Any:
    try:
        return attrgetter(source.replace("__", "."))(job)
    except AttributeError:
        # The relation is not set.
        return None


def _next_execution_at(shown: dict[str, Any], now: dt.datetime) -> dt.datetime | None:
    """The next fire time to show: the stored one or, if it has passed without a scheduler, the first after `now`."""
    due: dt.datetime | None = shown["next_execution_at"]
    if due is None or due > now:
        return due
    try:
        version = shown["calendar_version"]
        named = {"calendar": shown["calendar_id"], "calendar__version": version}
        values: list[Any] = [named.get(column, shown.get(column)) for column in schedule_columns()]
        return first_fire(schedule_from(*values), now, shown["start_date"], shown["end_date"])
    except CronError:
        return None


def _serializer_field(field: JobField, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    """The serializer field that describes a declared field in the OpenAPI document."""
    column, traits = field.column, field.traits
    kwargs["help_text"] = traits.help or str(getattr(column, "help_text", "") or "")
    if traits.bounds:
        least, most = traits.bounds
        return serializers.IntegerField(min_value=least, max_value=most, **kwargs)
    if traits.choices:
        return serializers.ListField(child=serializers.ChoiceField(traits.choices.choices), **kwargs)
    if column.choices:
        return serializers.ChoiceField(column.choices, **kwargs)
    if isinstance(column, models.BooleanField):
        return serializers.BooleanField(**kwargs)
    if isinstance(column, models.DateField):
        return serializers.DateField(allow_null=column.null, **kwargs)
    if isinstance(column, models.JSONField):
        is_list = column.default is list
        if is_list:
            return serializers.ListField(child=serializers.EmailField(), **kwargs)
        return serializers.DictField(allow_null=column.null or "required" in kwargs, **kwargs)
    if traits.lookup:
        # Requests may send a display name; answers contain the slug.
        is_sent = "required" in kwargs
        label = serializers.CharField if column.null or is_sent else serializers.SlugField
        return label(allow_null=column.null or is_sent, max_length=100, **kwargs)
    return serializers.CharField(allow_null=column.blank, max_length=column.max_length, **kwargs)


def _declared_fields(**kwargs: Any) -> dict[str, Any]:
    """The serializer fields of the declared fields, and of target fields without a column."""
    own = {field.name: _serializer_field(field, **kwargs) for field in job_fields() if field.name not in _HIDDEN}
    options = {
        one.name: serializers.CharField(allow_null=True, max_length=one.limit, **kwargs)
        for one in kinds.fields()
        if not one.column
    }
    return own | options


def request_fields() -> dict[str, Any]:
    """The serializer fields of the settings of a request, for bodies that try one."""
    return {
        field.name: _serializer_field(field, required=False)
        for field in job_fields()
        if field.traits.section is Section.REQUEST
    }


class JobSerializer(openapi.Representation[JobRow]):
    """A job in answers."""

    id = serializers.UUIDField()
    created_by = serializers.UUIDField(allow_null=True)
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()
    last_execution_at = openapi.timestamp(allow_null=True)
    next_execution_at = openapi.timestamp(allow_null=True, help_text="With the offset of the scheduler's zone.")
    last_status = serializers.CharField(allow_null=True)
    problem = serializers.CharField(allow_null=True, help_text="Why the scheduler cannot fire the job.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **_declared_fields()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keys = [one.key for one in _shown()]
        self._writers = [(one.key, one.write) for one in _shown() if one.write]
        self._masks = [(field.name, field.traits.masked) for field in job_fields() if field.traits.masked]
        self._options = [one.name for one in kinds.fields() if not one.column]

    def to_representation(self, job: JobRow) -> dict[str, Any]:
        now = self.context.get("now") or timezone.now()
        shown = dict(zip(self._keys, job.values, strict=True))
        shown["next_execution_at"] = local_iso(_next_execution_at(shown, now), settings.SCHEDULER_ZONE)
        del shown["calendar_id"], shown["calendar_version"]
        for key, write in self._writers:
            shown[key] = write(shown[key])
        reader = self.context.get("reader")
        if reader is not None and not services.may_read_secrets(shown["created_by"], reader):
            for key, mask in self._masks:
                shown[key] = mask(shown[key]) if shown[key] else shown[key]
        options = shown.pop("target_options")
        for name in self._options:
            shown[name] = options.get(name) or None
        return shown


JOB_NAME = openapi.shape("JobName", id=openapi.text(), name=openapi.text())


class JobChanges(serializers.Serializer[Any]):
    """The fields of a job in an update."""

    def get_fields(self) -> dict[str, Any]:
        return {**_declared_fields(required=False), **super().get_fields()}


@openapi.example(
    "A webhook on weekdays at nine",
    name="Nightly report",
    cron_expression="0 9 * * 1-5",
    end_date="2099-12-31",
    pic_team="qa-team",
    target_url="https://hooks.example.com/nightly",
    metadata={"report": "daily"},
)
class JobBody(JobChanges):
    """The fields of a new job."""

    name = serializers.CharField(max_length=255)
    cron_expression = serializers.CharField(max_length=255)
    end_date = serializers.DateField()
    pic_team = serializers.CharField(help_text="Slug or name of the team.")


@openapi.example("Weekdays at nine", expression="0 9 * * 1-5")
class ExpressionBody(serializers.Serializer[Any]):
    expression = serializers.CharField(help_text="A cron expression; `cron_expression` is read as well.")

    def get_fields(self) -> dict[str, Any]:
        times = {
            field.name: _serializer_field(field, required=False)
            for field in job_fields()
            if field.traits.times and field.name != "cron_expression"
        }
        return {**super().get_fields(), **times}


@openapi.example("Weekdays at nine", expression="0 9 * * 1-5", count=5)
class PreviewBody(ExpressionBody):
    count = serializers.IntegerField(default=5, min_value=1, max_value=20)


class BulkBody(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="CSV; the first row names the columns.")
    dry_run = serializers.CharField(required=False, help_text="1, true, yes, y or on: check only.")
    default_github_owner = serializers.CharField(required=False, max_length=100)


WARNINGS = serializers.ListField(
    child=serializers.CharField(), help_text="What is valid and yet probably not meant, in sentences."
)
BULK_ANSWER = openapi.shape(
    "BulkAnswer",
    message=openapi.text(),
    dry_run=openapi.flag(),
    stats=openapi.shape(
        "BulkStats",
        original_column_count=openapi.whole(),
        original_row_count=openapi.whole(),
        removed_column_count=openapi.whole(),
        removed_empty_row_count=openapi.whole(),
    ),
    created_count=openapi.whole(),
    error_count=openapi.whole(),
    errors=serializers.ListField(child=serializers.DictField()),
    warnings=serializers.ListField(child=serializers.DictField(), help_text=WARNINGS.help_text),
    jobs=serializers.ListField(child=serializers.DictField()),
)


_MOST_ERRORS = 1_000


def bulk_answer(found: Import, dry_run: bool, failed: bool) -> dict[str, Any]:
    """The answer to a bulk upload; it contains `error` if every row failed."""
    message = "CSV validated successfully" if dry_run else "Bulk upload processed"
    if failed:
        message = f"None of the {len(found.errors)} rows can be used: see 'errors'."
    body = {
        "message": message,
        "dry_run": dry_run,
        "stats": found.sheet.stats(),
        # Of a dry run: the jobs that would be created.
        "created_count": len(found.jobs),
        "error_count": len(found.errors),
        # The first of them: an answer does not grow with every row of a broken file.
        "errors": found.errors[:_MOST_ERRORS],
        "warnings": [
            {"row": row.number, "job_name": job.name, "message": warning}
            for row, job in found.jobs
            for warning in warnings_of(job)
        ][:_MOST_ERRORS],
        "jobs": [_bulk_job(job, dry_run) for _, job in found.jobs],
    }
    return {"error": "CSV validation failed" if dry_run else "Bulk upload failed", **body} if failed else body


def _bulk_job(job: Job, dry_run: bool) -> dict[str, Any]:
    if not dry_run:
        return {"id": str(job.id), "name": job.name, "is_active": job.is_active}
    return {
        "name": job.name,
        "is_active": job.is_active,
        "cron_expression": job.cron_expression,
        "end_date": job.end_date.isoformat(),
        "pic_team": job.pic_team.slug,
    }
