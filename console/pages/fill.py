"""The page that fills fire times of the past: choose, look, run."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import User
from core.admin import MomentInput, show_errors
from core.api.errors import DomainError
from executions.batches import fill
from executions.batches.fill import Gap
from executions.models import Batch
from jobs.models import Job

MOST_SHOWN = 200
_FIELDS = {"from": "first", "to": "last"}


class FillForm(forms.Form):
    """Which fire times, and how many runs at once."""

    first = forms.DateTimeField(label=gettext_lazy("From"), widget=MomentInput())
    last = forms.DateTimeField(
        label=gettext_lazy("Until"), widget=MomentInput(), help_text=gettext_lazy("Both ends are included.")
    )
    which = forms.ChoiceField(
        label=gettext_lazy("Which fire times"),
        choices=[
            ("gaps", gettext_lazy("Without a run: none on record, skipped, missed or cancelled")),
            ("failed", gettext_lazy("Whose run failed")),
            ("all", gettext_lazy("All of them")),
        ],
        widget=forms.RadioSelect,
    )
    at_once = forms.IntegerField(
        label=gettext_lazy("Runs at once"),
        min_value=1,
        max_value=fill.MOST_AT_ONCE,
        widget=forms.NumberInput({"class": "cs-input"}),
        help_text=gettext_lazy("1 to 10: the oldest first, the next when one has ended."),
    )


def answer(job: Job, data: Any, *, by: User) -> tuple[FillForm, list[Gap] | None, Batch | None]:
    """The form, the fire times that it names (None before it was sent), and the batch once it was confirmed."""
    now = timezone.now()
    if data is None:
        first = {"first": now - dt.timedelta(days=1), "last": now, "which": "gaps", "at_once": 1}
        return FillForm(initial=first), None, None
    form = FillForm(data)
    with timezone.override(job.zone):
        if not form.is_valid():
            return form, None, None
    cleaned = form.cleaned_data
    try:
        asked = fill.read(job, {**cleaned, "from": cleaned["first"], "to": cleaned["last"]})
        found = fill.gaps(job, asked)
        return form, found, fill.create(job, found, asked, by=by) if "run" in data else None
    except DomainError as exc:
        show_errors(form, exc, _FIELDS)
        return form, None, None
