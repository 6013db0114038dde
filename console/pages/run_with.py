"""Running a job once: now or at a time to come, with the job's metadata (workflow inputs) or others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from core.admin import MomentInput, show_errors
from core.api import payload
from core.api.errors import DomainError
from executions.batches import single_run
from executions.models import BatchRun, Execution
from executions.services import trigger_now
from jobs.models import Job
from windows.services import inside_now

_REMEMBERED, _LOOKED_AT = 5, 50


class RunWithForm(forms.Form):
    """The time and the metadata of one run."""

    at = forms.DateTimeField(
        label=gettext_lazy("Run at"),
        required=False,
        widget=MomentInput(),
        help_text=gettext_lazy("Empty: now. At a time to come, windows and the misfire policy decide as always."),
    )
    metadata = forms.CharField(
        label=gettext_lazy("Metadata of this run"),
        required=False,
        strip=False,
        max_length=100_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "data-json": "", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "A JSON object: the body of a webhook, the inputs of a workflow. The job stays as it is."
        ),
    )
    force = forms.BooleanField(label=gettext_lazy("Run although a window is open"), required=False)

    def clean_metadata(self) -> Any:
        try:
            return json.loads(self.cleaned_data["metadata"] or "{}")
        except (ValueError, RecursionError):
            raise forms.ValidationError(_("The metadata is not valid JSON.")) from None


class Remembered(NamedTuple):
    """The metadata of an earlier run of this kind."""

    execution: Execution
    text: str


def remembered(job: Job) -> list[Remembered]:
    """The last five different metadata that the job was run with, newest first."""
    found: dict[str, Remembered] = {}
    # Runs of templated jobs have overrides too: the values of their variables.
    latest = Execution.objects.filter(job=job, overrides__has_key="metadata").newest_first()
    for execution in latest.select_related("triggered_by")[:_LOOKED_AT]:
        text = _shown((execution.overrides or {})["metadata"])
        found.setdefault(text, Remembered(execution, text))
    return list(found.values())[:_REMEMBERED]


def first_form(job: Job, known: Sequence[Remembered], chosen: str | None) -> RunWithForm:
    """The form with the job's metadata, or with those of an earlier run by its execution's id."""
    wanted = payload.uuid_or_nil(chosen)
    earlier = next((one.text for one in known if one.execution.pk == wanted), None)
    return _fitting(RunWithForm(initial={"metadata": earlier or _shown(job.metadata)}), job)


def run(job: Job, data: Any, *, by: User) -> tuple[RunWithForm, Execution | BatchRun | None]:
    """Run the job with the form's metadata; returns the form with its errors, or what was started or planned."""
    form = _fitting(RunWithForm(data), job)
    with timezone.override(job.shown_zone):
        if not form.is_valid():
            return form, None
    if form.cleaned_data["at"] and form.cleaned_data.get("force"):
        form.add_error("force", _("At a time to come the windows of that time decide."))
        return form, None
    cleaned = form.cleaned_data
    body = {} if cleaned["metadata"] == job.metadata else {"metadata": cleaned["metadata"]}
    try:
        if cleaned["at"]:
            return form, single_run.plan(job.pk, {**body, "at": cleaned["at"]}, by=by)
        return form, trigger_now(job.pk, {**body, **({"force": True} if cleaned.get("force") else {})}, by=by)
    except DomainError as exc:
        show_errors(form, exc)
        return form, None


def _fitting(form: RunWithForm, job: Job) -> RunWithForm:
    if inside_now(job) is None:
        del form.fields["force"]
    return form


def _shown(metadata: Any) -> str:
    return json.dumps(metadata, ensure_ascii=False, indent=2)
