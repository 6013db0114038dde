"""The page that fills fire times of the past: choose, look, run."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Look:
    """The form, and the fire times that it names; None before it was sent. `has_changed`: they are others than those
    that were to be run.
    """

    form: FillForm
    found: Sequence[Gap] | None = None
    has_changed: bool = False

    @property
    def digest(self) -> str:
        """What the button that runs them sends, so that nothing runs that was not looked at."""
        times = ",".join(str(one.fire_time.timestamp()) for one in self.found or ())
        return hashlib.sha256(times.encode()).hexdigest()[:16]


def answer(job: Job, data: Any, *, by: User) -> tuple[Look, Batch | None]:
    """What the form names, and the batch once it was confirmed."""
    now = timezone.now()
    if data is None:
        first = {"first": now - dt.timedelta(days=1), "last": now, "which": "gaps", "at_once": 1}
        return Look(FillForm(initial=first)), None
    form = FillForm(data)
    with timezone.override(job.shown_zone):
        if not form.is_valid():
            return Look(form), None
    cleaned = form.cleaned_data
    try:
        asked = fill.read(job, {**cleaned, "from": cleaned["first"], "to": cleaned["last"]})
        look = Look(form, fill.gaps(job, asked))
        if "run" not in data:
            return look, None
        if data["run"] != look.digest:
            return Look(form, look.found, has_changed=True), None
        return look, fill.create(job, look.found or [], asked, by=by)
    except DomainError as exc:
        show_errors(form, exc, _FIELDS)
        return Look(form), None
