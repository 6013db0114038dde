"""The columns of a job from a request: every field is checked, and all that are wrong are named at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.models import User
from core.api import payload
from core.api.errors import Checks, Invalid, invalid_field, missing_fields
from jobs import request_rules, validation
from jobs.field_traits import Section, job_fields, names
from jobs.models import Job, today
from jobs.targets import parsing
from jobs.targets.kinds import Target
from jobs.validation import job_expired

# Fields that decide what a credential does.
_OF_DISPATCH = {"github_credential", "github_ref", "metadata", "pic_team"}
_REQUIRED = ("name", "cron_expression", "end_date")


def clean_new(data: Mapping[str, Any], *, by: User | None) -> dict[str, Any]:
    """The columns of a new job, or the contract's error for the first invalid field, with all others."""
    values, target = _new(data)
    target.check_credential(_id(values.get("github_credential")), values["pic_team"].pk, by)
    values |= target.columns()
    request_rules.check(Job(**values), target, by=by)
    return values


def _new(data: Mapping[str, Any]) -> tuple[dict[str, Any], Target]:
    """Every field by itself, in the contract's order."""
    values: dict[str, Any] = {}
    checks = Checks()
    target: Target | None = None
    lacking: Invalid | None = None
    missing = [name for name in _REQUIRED if data.get(name) is None]
    with checks.check():
        if missing:
            raise missing_fields(missing, verb="Send", joint=", ")
    with checks.check():
        if "name" not in missing:
            values["name"] = validation.name(data["name"])
    with checks.check():
        if "cron_expression" not in missing:
            values["cron_expression"] = validation.cron_text(data["cron_expression"])
    with checks.check():
        target = parsing.read_target(data, default_owner=settings.DEFAULT_GITHUB_OWNER)
        if target is None:
            lacking = parsing.missing_target()
    with checks.check():
        values["category"] = validation.category(data.get("category"))
    with checks.check():
        values["metadata"] = validation.metadata(data.get("metadata"))
    with checks.check():
        values.update(validation.mail(data))
    with checks.check():
        if "end_date" not in missing:
            if not payload.text(data["end_date"], "end_date", limit=255, error="Invalid end_date"):
                raise missing_fields(["end_date"], verb="Send")
            values["end_date"] = validation.end_date(data["end_date"], zone=validation.zone_of(data))
    with checks.check():
        values["pic_team"] = validation.pic_team(_team(data))
    with checks.check():
        values.update(validation.policies(data, start_before=values.get("end_date")))
    with checks.check():
        if data.get("is_active") is not None:
            values["is_active"] = payload.boolean(data["is_active"], "is_active")
    with checks.check():
        if "cron_expression" in values:
            validation.schedule(Job(**{name: values[name] for name in names(having="times") if name in values}))
    with checks.check():
        if lacking:
            raise lacking
        if target and "metadata" in values:
            target.check_metadata(values["metadata"])
    checks.finish()
    assert target is not None
    return values, target


def clean_changes(job: Job, data: Mapping[str, Any], *, by: User | None) -> dict[str, Any]:
    """The columns that an update changes, or the contract's error for the first invalid field, with all others."""
    values, target = _changed(job, data)
    if target != job.target or any(getattr(job, name) != values[name] for name in _OF_DISPATCH & set(values)):
        credential, team = values.get("github_credential", job.github_credential), values.get("pic_team", job.pic_team)
        target.check_credential(_id(credential), team.pk, by)
    values |= target.columns()
    if any(getattr(job, name) != values[name] for name in of_request() & values.keys()):
        request_rules.check(changed_copy(job, values), target, by=by)
    return values


def _changed(job: Job, data: Mapping[str, Any]) -> tuple[dict[str, Any], Target]:
    """Every field by itself, in the contract's order."""
    values: dict[str, Any] = {}
    checks = Checks()
    target: Target | None = None
    lacking: Invalid | None = None
    with checks.check():
        if "name" in data:
            values["name"] = validation.name(data["name"], job=job)
    with checks.check():
        if "cron_expression" in data and data["cron_expression"] != job.cron_expression:
            values["cron_expression"] = validation.cron_text(data["cron_expression"])
    with checks.check():
        target = parsing.changed_target(job.target, data, default_owner=settings.DEFAULT_GITHUB_OWNER)
        if target is None:
            lacking = parsing.missing_target()
    with checks.check():
        if "category" in data:
            values["category"] = validation.category(data["category"], current=job.category)
    with checks.check():
        if "metadata" in data:
            values["metadata"] = validation.metadata(data["metadata"])
    with checks.check():
        values.update(validation.mail(data, job))
    with checks.check():
        if "end_date" in data:
            values["end_date"] = validation.end_date(
                data["end_date"], current=job.end_date, zone=validation.zone_of(data, job)
            )
    with checks.check():
        if "pic_team" in data or "pic_team_slug" in data:
            values["pic_team"] = validation.pic_team(_team(data), current=job.pic_team)
    with checks.check():
        values.update(_policies(job, data, values.get("end_date", job.end_date)))
    with checks.check():
        if data.get("is_active") is not None:
            values["is_active"] = payload.boolean(data["is_active"], "is_active")
    with checks.check():
        times = names(having="times")
        if any(name in values and values[name] != getattr(job, name) for name in times):
            validation.schedule(Job(**{name: values.get(name, getattr(job, name)) for name in times}))
    with checks.check():
        if lacking:
            raise lacking
        if target and ("metadata" in values or target != job.target):
            target.check_metadata(values.get("metadata", job.metadata))
        check_not_ended(job, values)
    checks.finish()
    assert target is not None
    return values, target


@cache
def of_request() -> frozenset[str]:
    """The fields that decide what is sent, and with which secrets."""
    declared = {field.name for field in job_fields() if field.traits.section in {Section.TARGET, Section.REQUEST}}
    # Variables show the name, and times in the job's zone with the open days of its calendar.
    return frozenset(declared | {"name", "pic_team", "target_kind", "target_options", *names(having="times")})


def changed_copy(job: Job, values: Mapping[str, Any]) -> Job:
    """A copy of a job with other values, not to be saved."""
    changed = copy(job)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def _policies(job: Job, data: Mapping[str, Any], end_date: dt.date) -> dict[str, Any]:
    """The validated policies. A stored start date that the new end date would precede is refused too: such a job would
    never fire.
    """
    values = validation.policies(data, start_before=end_date)
    start = values.get("start_date", job.start_date)
    if start is not None and start > end_date:
        raise invalid_field(
            "end_date",
            f"The end date {end_date} is before the start date {start}: the job would never fire.",
            error="Invalid end_date",
        )
    return values


def check_not_ended(job: Job, values: Mapping[str, Any]) -> None:
    """Raise `Job expired` if the change would enable a job after its end date, and the schedule's error if it would
    enable one whose stored schedule cannot be used.
    """
    if not values.get("is_active") or job.is_active:
        return
    changed = changed_copy(job, values)
    validation.schedule(changed)
    if changed.end_date < today(changed.zone):
        raise job_expired(changed.end_date)


def _id(row: Any) -> UUID | None:
    return row.pk if row is not None else None


def _team(data: Mapping[str, Any]) -> Any:
    return data["pic_team"] if data.get("pic_team") is not None else data.get("pic_team_slug")
