"""Imports jobs from a sheet: every row is validated, and all valid rows are created in one transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import models

from accounts.models import User
from core.api.errors import DomainError, Invalid, invalid_field, missing_fields
from core.api.json import read_object
from jobs import request_rules, validation
from jobs.field_traits import names
from jobs.input import clean_new
from jobs.models import Job
from jobs.services import add_jobs
from jobs.targets import kinds, parsing
from jobs.transfer import csv_reader
from jobs.transfer.columns import beyond_titles, titles
from jobs.transfer.csv_reader import Sheet, SheetRow
from taxonomy.models import Category, LabelBook, PicTeam, slug_of

INACTIVE = {
    "disable",
    "disabled",
    "inactive",
    "false",
    "0",
    "no",
    "n",
    "off",
    "無効",
    "停止",
    "停止中",
    "オフ",
    "×",
    "✕",
    "✗",
}
_FORMULA_SIGNS = frozenset("=+-@＝＋－＠")
_NAMES_AT_ONCE = 500
_TRIES = 3


@dataclass
class Import:
    """The result of an import: the jobs, and one error for each refused row."""

    sheet: Sheet
    titles: dict[str, tuple[str, ...]] = field(default_factory=titles)
    jobs: list[tuple[SheetRow, Job]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, row: SheetRow, name: str, exc: DomainError) -> None:
        """Record a row's error and its column."""
        about = next(iter(exc.fields), "")
        _, column = row.get(*self.titles.get(about, ()))
        self.errors.append(
            {
                "row": row.number,
                "job_name": name,
                "error": exc.error,
                "message": exc.sentence(),
                "column": column
                or next((title for title in self.titles.get(about, ()) if title in self.sheet.headers), None),
                **exc.extra,
            }
        )


def import_jobs(
    raw: bytes,
    *,
    by: User | None,
    dry_run: bool,
    default_owner: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Import:
    """Validate every row of a CSV file and, unless it is a dry run, create the jobs of the valid rows.

    Created jobs belong to `by` and send no mail. `progress` is called with the number of validated rows and of all
    rows. Raises `Invalid CSV` for a file that cannot be read; errors of rows are part of the result.
    """
    found = Import(csv_reader.read(raw))
    known = {title for accepted in found.titles.values() for title in accepted}
    if not known & set(found.sheet.headers):
        raise csv_reader.invalid_csv(
            "No column has a known header. Start from the template: Job Name, Cron Schedule (JST), ..."
        )
    checker = _Checker(found, by, default_owner or settings.DEFAULT_GITHUB_OWNER)
    for done, row in enumerate(found.sheet.rows, start=1):
        checker.check(row)
        if progress and (done % _NAMES_AT_ONCE == 0 or done == len(found.sheet.rows)):
            progress(done, len(found.sheet.rows))
    if not dry_run and found.jobs:
        _create(found, by)
    found.errors.sort(key=lambda error: error["row"])
    return found


def import_json(
    raw: bytes, *, by: User | None, dry_run: bool, progress: Callable[[int, int], None] | None = None
) -> Import:
    """Import a JSON list of bodies in the form of `POST /jobs`; `row` counts them from 1."""
    try:
        bodies = json.loads(csv_reader.decode(raw))
    except ValueError as exc:
        raise Invalid("Invalid JSON", f"The file is not valid JSON: {exc}.") from exc
    if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
        raise Invalid("Invalid JSON", "The file must hold a list of objects, as exportjobs writes it.")
    found = Import(Sheet([], [], 0, len(bodies), 0, 0))
    names: set[str] = set()
    for number, body in enumerate(bodies, start=1):
        row = SheetRow(number, {})
        try:
            job = Job(**clean_new(body, by=by), created_by=by)
            if job.name in names:
                raise validation.duplicate_name(job.name)
        except DomainError as exc:
            found.refuse(row, str(body.get("name") or ""), exc)
        else:
            names.add(job.name)
            found.jobs.append((row, job))
        if progress and (number % _NAMES_AT_ONCE == 0 or number == len(bodies)):
            progress(number, len(bodies))
    if not dry_run and found.jobs:
        _create(found, by)
    return found


def _create(found: Import, by: User | None) -> None:
    """Store the jobs. A row whose name was taken in the meantime becomes an error."""
    for _ in range(_TRIES):
        try:
            add_jobs([job for _, job in found.jobs], by=by, bulk=True)
            return
        except Invalid:
            taken = _taken(job.name for _, job in found.jobs)
            for row, job in found.jobs:
                if job.name in taken:
                    found.refuse(row, job.name, validation.duplicate_name(job.name))
            found.jobs = [(row, job) for row, job in found.jobs if job.name not in taken]
            if not found.jobs:
                return
    raise Invalid("Bulk upload failed", "Others create jobs with these names at the same time. Try again.")


class _Checker:
    """Validates rows, with the names of the sheet, of the database, and all labels in memory."""

    def __init__(self, found: Import, by: User | None, default_owner: str) -> None:
        self._found = found
        self._by = by
        self._default_owner = default_owner
        self._in_sheet: set[str] = set()
        self._taken = _taken(row.get(*found.titles["name"])[0] for row in found.sheet.rows)
        self._categories = LabelBook(Category)
        self._teams = LabelBook(PicTeam)

    def check(self, row: SheetRow) -> None:
        """Add the row's job, or the first error in the contract's order."""
        cells = {meaning: _plain(row.get(*titles)[0]) for meaning, titles in self._found.titles.items()}
        try:
            _refuse_formulas(row, self._found.titles)
            job = self._job(cells)
        except DomainError as exc:
            self._found.refuse(row, cells["name"], exc)
        else:
            self._found.jobs.append((row, job))

    def _job(self, cells: dict[str, str]) -> Job:
        target = next((found for kind in kinds.registered() if (found := kind.read_first(cells))), None)
        category = validation.category(cells["category"], called=self._categories.called)
        if not cells["end_date"]:
            raise missing_fields(["end_date"])
        end_date = validation.end_date(cells["end_date"].replace("/", "-"), spreadsheet=True)
        team = self._team(cells["pic_team"])
        name = self._name(cells)
        expression = validation.cron_text(cells["cron_expression"])
        beyond = validation.policies(_beyond(cells), start_before=None)
        times = {name: value for name, value in beyond.items() if name in names(having="times")}
        validation.schedule(Job(cron_expression=expression, **times))
        metadata = _metadata(cells)
        target = target or parsing.read_row(cells, default_owner=self._default_owner)
        target.check_metadata(metadata, error="Invalid Request Body")
        target.check_credential(None, team.pk, self._by)
        job = Job(
            name=name,
            cron_expression=expression,
            category=category,
            pic_team=team,
            end_date=end_date,
            metadata=metadata,
            is_active=cells["is_active"].lower() not in INACTIVE,
            created_by=self._by,
            **beyond,
            **target.columns(),
        )
        request_rules.check(job, target, by=self._by)
        return job

    def _team(self, text: str) -> PicTeam:
        try:
            return validation.pic_team(text, called=self._teams.called)
        except Invalid as exc:
            found = self._teams.called(text)
            slug = found.slug if found else slug_of(text)
            raise Invalid(exc.error, exc.message, fields=exc.fields, pic_team=text, pic_team_slug=slug) from exc

    def _name(self, cells: dict[str, str]) -> str:
        missing = [field for field in ("name", "cron_expression") if not cells[field]]
        if missing:
            raise missing_fields(missing)
        name = validation.name_text(cells["name"])
        if name in self._in_sheet:
            raise invalid_field(
                "name", f'The name "{name}" stands in an earlier row already.', error="Duplicate job name in CSV"
            )
        self._in_sheet.add(name)
        if name in self._taken:
            raise validation.duplicate_name(name)
        return name


def _beyond(cells: dict[str, str]) -> dict[str, Any]:
    """The fields beyond the template as in a request; blank cells are left out."""
    found: dict[str, Any] = {}
    for name in beyond_titles():
        text, column = cells[name], Job._meta.get_field(name)
        if not text:
            continue
        if isinstance(column, models.JSONField):
            found[name] = _object(name, text)
        elif isinstance(column, models.BooleanField):
            found[name] = text.lower() not in INACTIVE
        elif isinstance(column, models.IntegerField):
            found[name] = int(text) if re.fullmatch(r"-?[0-9]{1,4}", text, re.ASCII) else text
        else:
            found[name] = text
    return found


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        return read_object(text.encode())
    except Invalid as exc:
        raise invalid_field(name, f"'{name}' is not a JSON object: {exc.message}") from exc


def _metadata(cells: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if cells["metadata"]:
        try:
            metadata = read_object(cells["metadata"].encode())
        except Invalid as exc:
            not_json = exc.error == "Invalid JSON"
            raise invalid_field(
                "metadata",
                f"The request body is not {'valid JSON' if not_json else 'a JSON object'}: {exc.message}",
                error="Invalid JSON in Request Body" if not_json else "Invalid Request Body",
            ) from exc
    metadata = validation.metadata(metadata, error="Invalid Request Body")
    if cells["branch"]:
        metadata.setdefault("branchDetails", cells["branch"])
    return metadata


def _refuse_formulas(row: SheetRow, titles: dict[str, tuple[str, ...]]) -> None:
    for meaning, accepted in titles.items():
        value, title = row.get(*accepted)
        if value.startswith(("=", "＝")):
            raise invalid_field(
                meaning,
                f"The column '{title}' holds a formula ({value[:40]}): paste it as a value. A text that begins with '='"
                " is written with an apostrophe in front.",
                error="Formula in cell",
            )


def quoted(text: str) -> str:
    """Text for a cell: with a leading apostrophe if a spreadsheet program would evaluate it as a formula (OWASP, "CSV
    Injection"). Programs skip control characters, and East Asian ones read full-width signs as well.
    """
    first = text.lstrip("'")[:1]
    return f"'{text}" if first in _FORMULA_SIGNS or (first and ord(first) < 32) else text


def _plain(cell: str) -> str:
    """The text of a cell that `quoted` wrote."""
    return cell[1:] if cell.startswith("'") and quoted(cell[1:]) == cell else cell


def _taken(names: Iterable[str]) -> set[str]:
    wanted = [_plain(name) for name in names]
    found: set[str] = set()
    for start in range(0, len(wanted), _NAMES_AT_ONCE):
        found.update(Job.objects.filter(name__in=wanted[start : start + _NAMES_AT_ONCE]).values_list("name", flat=True))
    return found


def dumps(metadata: dict[str, Any]) -> str:
    """Metadata as JSON for a cell; '' without metadata."""
    return json.dumps(metadata, ensure_ascii=False) if metadata else ""
