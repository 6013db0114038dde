"""Exports jobs as files that `importjobs` and the bulk upload accept."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, TextIO

from accounts.models import User
from jobs.field_traits import JobField, job_fields
from jobs.models import Job
from jobs.services import masked_for
from jobs.transfer.columns import beyond_titles, columns, template_titles
from jobs.transfer.importing import dumps, quoted

# The relations that an export reads.
RELATED = ("category", "pic_team", "github_credential", "calendar", "webhook_credential")


def write_csv(jobs: Iterable[Job], out: TextIO, *, reader: User | None) -> int:
    """Write jobs under the template's titles, with all of their schedules and requests; returns how many. Mail
    settings, policies, start dates and owners are not included.

    Secrets are masked for a `reader` who may not read them; None is an operator. Every cell is quoted, so that it stays
    one cell in programs that separate by semicolons.
    """
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([*template_titles(), *beyond_titles()])
    count = 0
    for job in jobs:
        writer.writerow(_cells(masked_for(job, reader)))
        count += 1
    return count


def _cells(job: Job) -> list[str]:
    wanted = {*columns(), *beyond_titles()}
    values = {field.name: _text(field, job) for field in job_fields() if field.name in wanted}
    values |= job.target.values()
    return [
        *(
            quoted(values.get(name, "")) if column.quoted else values.get(name, "")
            for name, column in columns().items()
        ),
        *(quoted(values[name]) for name in beyond_titles()),
    ]


def _text(field: JobField, job: Job) -> str:
    """The value of a field in the form that the bulk upload accepts."""
    value = _exported(field, job)
    if isinstance(value, bool):
        return "enable" if value else "disable"
    return dumps(value) if isinstance(value, dict) else "" if value is None else str(value)


def write_json(jobs: Iterable[Job], out: TextIO, *, reader: User | None) -> int:
    """Write a list of bodies in the form of `POST /jobs`; returns how many."""
    bodies = [body_of(masked_for(job, reader)) for job in jobs]
    json.dump(bodies, out, ensure_ascii=False, indent=2)
    out.write("\n")
    return len(bodies)


def body_of(job: Job) -> dict[str, Any]:
    """The request body that creates this job again."""
    target = {name: value for name, value in job.target.values().items() if value}
    return {field.name: _exported(field, job) for field in job_fields() if field.traits.exported} | target


def _exported(field: JobField, job: Job) -> Any:
    if field.traits.lookup:
        label = getattr(job, field.name)
        return attrgetter(field.traits.lookup.partition("__")[2])(label) if label is not None else ""
    value = getattr(job, field.name)
    return value.isoformat() if isinstance(value, dt.date) else value
