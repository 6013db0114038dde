"""The columns of the CSV file, from the declared fields of jobs and of kinds of targets."""

from __future__ import annotations

from jobs.field_traits import Column, job_fields
from jobs.targets import kinds

# The branch of a workflow is written into the metadata: it is a column without a field of its own.
_BRANCH = Column("Branch", ("ref",), 8)


def columns() -> dict[str, Column]:
    """Every column of the template by the name of its field, in the template's order."""
    found = {field.name: field.traits.csv for field in job_fields() if field.traits.csv}
    found |= {field.name: field.csv for field in kinds.fields() if field.csv} | {"branch": _BRANCH}
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def beyond_titles() -> list[str]:
    """The columns beyond the template without which an imported job would run at other times or send something else."""
    return [
        field.name for field in job_fields() if (field.traits.times or field.traits.beyond) and not field.traits.csv
    ]


def template_titles() -> list[str]:
    """The first row of the template."""
    return [column.title for column in columns().values()]


def titles() -> dict[str, tuple[str, ...]]:
    """The titles, in lower case, that each field is read from; columns that are read and never written included."""
    read_only: dict[str, tuple[str, ...]] = {}
    for kind in kinds.registered():
        read_only |= kind.csv_only
    beyond = {name: (name,) for name in beyond_titles()}
    return {name: column.titles for name, column in columns().items()} | read_only | beyond
