"""Kinds of targets, and what the jobs app needs from each.

A kind is one subclass of `Target` in a folder under `executions/targets/`, registered here when the app starts. An
instance is a target: the values of its fields. `executions.targets.base.DeliverableTarget` adds what delivery needs.
See docs/adding-a-target.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from core.api import payload
from jobs.field_traits import Column
from jobs.templating.language import Values


class TargetField(NamedTuple):
    """One field of a kind of target.

    `column`: whether `Job` has a column of that name; otherwise the value is stored in `Job.target_options`. `limit`:
    the maximum length in characters. `csv`: its column in the CSV file. `searched`: whether the search of the job
    list includes it. `label` and `help` are shown in the admin form if there is no column that has its own.
    """

    name: str
    limit: int
    csv: Column | None = None
    column: bool = True
    searched: bool = False
    label: Any = ""
    help: Any = ""


class Target(ABC):
    """A target of one kind."""

    # The name in `Job.target_kind`, in `execution_type` of the API and of executions, and of its Celery queue.
    kind: ClassVar[str]
    # The name in forms and in the answer of a test run.
    short_name: ClassVar[str]
    # The label in forms and lists.
    label: ClassVar[Any]
    noun: ClassVar[Any]
    fields: ClassVar[tuple[TargetField, ...]]
    # Whether its requests may hold secrets.
    accepts_secrets: ClassVar[bool] = False
    # CSV columns that are read but never written.
    csv_only: ClassVar[dict[str, tuple[str, ...]]] = {}

    def values(self) -> dict[str, str]:
        """The values of its fields."""
        return {field.name: getattr(self, field.name) for field in self.fields}

    def check_metadata(self, metadata: Mapping[str, Any], *, error: str = "Invalid metadata") -> None:
        """Raise `Invalid` with this error for metadata that the target cannot take; by default it takes any."""
        return

    def check_credential(self, credential_id: UUID | None, team_id: UUID | None, by: Any) -> None:
        """Raise a `DomainError` if `by` may not use the credential of a job of this team for this target; None for
        `by` is an operator's command. By default a target needs no credential.
        """
        return

    @property
    def receiver(self) -> tuple[str, int]:
        """Host and port of who gets the secrets of its requests."""
        return "", 0

    def rendered_texts(self) -> dict[str, str]:
        """Its fields that may hold variables."""
        return {}

    def rendered(self, values: Values) -> Self:
        """The target with the variables put in. Raises `ValueError`."""
        return self

    @abstractmethod
    def __str__(self) -> str:
        """The target in one line, as executions store it; `parse` is the inverse."""

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """The target of a text that `str` wrote. Raises `ValueError`."""

    @classmethod
    @abstractmethod
    def read(cls, data: Mapping[str, Any], *, default_owner: str) -> Self | None:
        """The target in an API body or a form; None if a field is missing. Raises `Invalid` naming the field."""

    @classmethod
    def read_text(cls, text: str) -> Self | None:
        """The target that a text in place of `target_url` denotes; None if it denotes another kind. Raises `Invalid
        target_url`.
        """
        return None

    @classmethod
    def is_page(cls, url: str) -> bool:
        """Whether a webhook's URL is a page that shows a target of this kind to people, so that a call of it starts
        nothing.
        """
        return False

    @classmethod
    def read_first(cls, cells: Mapping[str, str]) -> Self | None:
        """The target in CSV cells that take precedence over all others and are validated first; None without such
        cells.
        """
        return None

    @classmethod
    def read_row(cls, cells: Mapping[str, str], *, default_owner: str) -> Self | None:
        """The target in the cells of a CSV row; None if a field is missing."""
        return cls.read(cells, default_owner=default_owner)

    @abstractmethod
    def overridden(self, data: Mapping[str, Any]) -> Target:
        """The target of a single run with overrides from a request. Raises `Invalid`."""

    @abstractmethod
    def as_overrides(self) -> dict[str, str]:
        """The overrides that give this target to another run."""

    @classmethod
    def of_job(cls, job: Any) -> Self:
        """The target stored on a job."""
        found: dict[str, str] = {
            one.name: getattr(job, one.name) if one.column else job.target_options.get(one.name, "")
            for one in cls.fields
        }
        return cls(**found)

    def columns(self) -> dict[str, Any]:
        """The columns of a job that has this target; columns of other kinds are emptied."""
        empty: dict[str, Any] = {one.name: "" for kind in registered() for one in kind.fields if one.column}
        values = self.values()
        return {
            **empty,
            "target_kind": self.kind,
            "target_options": {one.name: values[one.name] for one in self.fields if not one.column},
            **{one.name: values[one.name] for one in self.fields if one.column},
        }


_kinds: dict[str, type[Target]] = {}


def register(kind: type[Target]) -> None:
    """Register a kind. Forms, lists and CSV columns follow the order of registration."""
    _kinds[kind.kind] = kind


def unregister(kind: type[Target]) -> None:
    """Remove a registered kind."""
    _kinds.pop(kind.kind, None)


def registered() -> tuple[type[Target], ...]:
    """Every kind, in the order of registration."""
    return tuple(_kinds.values())


def kind_named(name: str) -> type[Target]:
    """The kind with this name. Raises `ValueError` for one that is not registered."""
    if name not in _kinds:
        raise ValueError(f"the kind of target '{name}' is not installed")
    return _kinds[name]


def choices() -> list[tuple[str, Any]]:
    """Names and labels of kinds, as Django's `choices`."""
    return [(kind.kind, kind.noun) for kind in registered()]


def fields() -> list[TargetField]:
    """The fields of every kind."""
    return [one for kind in registered() for one in kind.fields]


def text_of(data: Mapping[str, Any], field: TargetField, *, error: str = "Invalid payload") -> str:
    """The trimmed text of a field in a body. Raises `Invalid` if it is not text or too long."""
    return payload.text(data.get(field.name), field.name, limit=field.limit, error=error)


def searched_columns() -> list[str]:
    """The columns of targets that a search of the job list looks at."""
    return [one.name for one in fields() if one.searched and one.column]
