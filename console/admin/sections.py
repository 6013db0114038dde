"""The sections of a job's form, made from the declared fields (`jobs.field_traits`)."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from jobs.field_traits import JobField, Section, declared
from jobs.models import Job
from jobs.targets import kinds

_TITLES: dict[Section, dict[str, Any]] = {
    Section.WHAT: {"title": _("Basics")},
    Section.WHEN: {
        "title": _("Schedule"),
        "description": _(
            "The description and the next fire times update as you type, with the closed days of the calendar."
        ),
    },
    Section.TARGET: {"title": _("Target")},
    Section.REQUEST: {"title": _("Request and answer"), "classes": ("collapse",)},
    Section.PERIOD: {"title": _("Active period")},
    Section.NOTIFICATIONS: {"title": _("Alerts"), "classes": ("collapse",)},
    Section.FAILURE: {"title": _("Reliability"), "classes": ("collapse",)},
}


def job_sections() -> list[tuple[Any, dict[str, Any]]]:
    """The fieldsets of the form, as Django's admin takes them."""
    found = []
    for section, more in _TITLES.items():
        options: dict[str, Any] = {"fields": _rows(section), **more}
        title = options.pop("title")
        found.append((title, options))
    return found


def _rows(section: Section) -> tuple[Any, ...]:
    """The fields of a section; those of one row as a tuple of their own."""
    mine = [field for field in declared(Job) if field.traits.section is section]
    rows: list[Any] = ["target_kind"] if section is Section.TARGET else []
    for row, group in groupby(mine, key=_row):
        names = [field.name for field in group]
        # Two beside each other leave room for their help.
        pairs = [tuple(names[start : start + 2]) for start in range(0, len(names), 2)]
        rows += [pair if row and len(pair) > 1 else pair[0] for pair in pairs]
    if section is Section.TARGET:
        rows += option_fields()
    return tuple(rows)


def _row(field: JobField) -> str:
    # Fields without a row stand alone.
    return field.traits.row or f"\0{field.name}"


def option_fields() -> dict[str, forms.Field]:
    """A form field for each target field that has no column of its own."""
    return {
        one.name: forms.CharField(
            label=one.label, help_text=one.help, required=False, max_length=one.limit, widget=UnfoldAdminTextInputWidget
        )
        for one in kinds.fields()
        if not one.column
    }
