"""Traits of a job's field: the single source of every list of a job's fields.

`jobs.fields` declares each field once. Model constraints, API, OpenAPI document, validation, CSV and JSON transfer,
audit trail, admin form, *Duplicate* and the columns that firing reads are derived from these declarations. See
docs/adding-a-job-field.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.apps import apps
from django.db import models
from django.db.models import Q

C = TypeVar("C", bound="models.Field[Any, Any]")


class Section(Enum):
    """The sections of the admin form, in their order."""

    WHAT = "what"
    WHEN = "when"
    TARGET = "target"
    REQUEST = "request"
    PERIOD = "period"
    NOTIFICATIONS = "notifications"
    FAILURE = "failure"


class Column(NamedTuple):
    """A column of the CSV file: its title in the template and other accepted titles, in lower case.

    `place` orders the columns. `quoted`: cells that a spreadsheet program would evaluate as a formula get a leading
    apostrophe.
    """

    title: str
    aliases: tuple[str, ...] = ()
    place: int = 4
    quoted: bool = True

    @property
    def titles(self) -> tuple[str, ...]:
        return (self.title.lower(), *self.aliases)


@dataclass(frozen=True)
class Traits:
    """The traits of one field.

    `section`: its section of the admin form; None: it is not in the form. `row`: fields of a section with the same
    row are on one line. `target`: the kind of target that it is for; '' for every kind. `bounds`: minimum and maximum
    of an integer. `choices`: the allowed values of a list. `rule`: `jobs.validation` or `jobs.request_rules` has a
    function for it; other fields are validated by their column and bounds. `lookup`: the
    column that the API shows instead of the field. `schedule`: it determines the fire times; `times`: it is part of
    the job's `Schedule`. `fired`: firing reads it. `exported`: it is part of the JSON export. `audited`: its changes
    are recorded; `outline` returns what is recorded of a value that may hold secrets. `masked`: returns what is shown
    of such a value to whoever may not read it. `copied`: *Duplicate* copies it. `csv`: its column in the CSV file.
    `beyond`: the CSV file has a column of its name beyond the template's. `help`: its text in the OpenAPI document.
    """

    section: Section | None = None
    row: str = ""
    target: str = ""
    bounds: tuple[int, int] | None = None
    choices: type[models.TextChoices] | None = None
    rule: bool = False
    lookup: str = ""
    schedule: bool = False
    times: bool = False
    fired: bool = False
    exported: bool = True
    audited: bool = True
    copied: bool = True
    outline: Callable[[Any], Any] | None = None
    masked: Callable[[Any], Any] | None = None
    csv: Column | None = None
    beyond: bool = False
    help: str = ""


class JobField(NamedTuple):
    """A declared field: its name, its column and its traits."""

    name: str
    column: models.Field[Any, Any]
    traits: Traits


def declare(column: C, **traits: Any) -> C:
    """Attach traits to a column of `jobs.fields.JobSettings`; see `Traits`."""
    column.job_traits = Traits(**traits)  # type: ignore[attr-defined]
    return column


def declared(model: type[models.Model]) -> Iterator[JobField]:
    """The declared fields of a model, in the order of their declaration."""
    for column in model._meta.local_fields:
        traits = getattr(column, "job_traits", None)
        if traits is not None:
            yield JobField(column.name, column, traits)


@cache
def job_fields() -> tuple[JobField, ...]:
    """Every declared field of a job."""
    return tuple(declared(apps.get_model("jobs", "Job")))


def names(*, having: str) -> tuple[str, ...]:
    """The names of the fields for which a trait holds, such as `names(having="audited")`."""
    return tuple(field.name for field in job_fields() if getattr(field.traits, having))


def range_constraints(model: type[models.Model]) -> list[models.CheckConstraint]:
    """A check constraint for each integer field of an abstract model, from its bounds."""
    found = []
    for field in declared(model):
        if field.traits.bounds:
            least, most = field.traits.bounds
            inside = Q(**{f"{field.name}__gte": least, f"{field.name}__lte": most})
            found.append(models.CheckConstraint(name=f"job_{field.name}_in_range", condition=inside))
    return found


def choice_constraints(model: type[models.Model]) -> list[models.CheckConstraint]:
    """A check constraint for each field with choices of an abstract model."""
    return [
        models.CheckConstraint(
            name=f"job_{field.name}_known",
            condition=Q(**{f"{field.name}__in": [value for value, _ in field.column.choices]}),
        )
        for field in declared(model)
        if field.column.choices
    ]
