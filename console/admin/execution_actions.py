"""Bulk actions on executions: run again as a batch, and export."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import require_login
from audit import events
from audit.events import Event
from core.api.errors import DomainError
from core.api.timestamps import utc_ms
from core.masking import masked_text
from executions.batches import rerun as batches
from executions.models import Execution, Status
from jobs.transfer.importing import quoted

_MOST_EXPORTED = 100_000
_TITLES = (
    "id",
    "job",
    "team",
    "status",
    "trigger",
    "scheduled_for",
    "started_at",
    "duration_seconds",
    "http_status",
    "reason",
)


class RerunForm(forms.Form):
    """How a selection is run again."""

    which = forms.ChoiceField(choices=[("job", "job"), ("each", "each")])
    minutes = forms.IntegerField(min_value=0, max_value=batches.LONGEST_MINUTES, initial=0)


@admin.action(description=gettext_lazy("Run again …"), permissions=["rerun"])
def run_again(model_admin: Any, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponseBase | None:
    """Ask how, then make a batch of the selected executions, or of all that match."""
    user = require_login(request)
    ended = queryset.exclude(status__in=[Status.RUNNING, Status.QUEUED])
    each, once = batches.choose(ended, user), batches.choose_once(ended, user)
    matching = ended.order_by()[: batches.MOST + 1].count()
    form = RerunForm(request.POST) if "which" in request.POST else RerunForm()
    if not form.is_valid():
        context = {
            **model_admin.admin_site.each_context(request),
            "title": _("Run again"),
            "opts": model_admin.opts,
            "form": form,
            "each": len(each),
            "once": len(once),
            "others": matching - len(each),
            "too_many": matching > batches.MOST,
            "most": batches.MOST,
            "longest": batches.LONGEST_MINUTES,
            "jobs": [one.job.name for one in once[:10]],
            "ids": request.POST.getlist("_selected_action"),
            "across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "console/rerun.html", context)
    chosen = once if form.cleaned_data["which"] == "job" else each
    count = len(chosen)
    # In English, as everything that is stored; pages tell it in the reader's language.
    title = f"{count} execution{'' if count == 1 else 's'} run again"
    try:
        batch = batches.create(chosen, title, minutes=form.cleaned_data["minutes"], by=user)
    except DomainError as exc:
        model_admin.message_user(request, exc.spoken, messages.ERROR)
        return None
    return HttpResponseRedirect(reverse("admin:executions_batch_change", args=[batch.pk]))


@admin.action(description=gettext_lazy("Export as CSV"), permissions=["view"])
def export_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Execution]) -> HttpResponseBase:
    """The newest 100,000 of the selected executions, or of all that match."""
    rows = queryset.select_related("job__pic_team").newest_first()[:_MOST_EXPORTED]  # type: ignore[attr-defined]
    events.note(Event.EXPORTED, "executions", by=require_login(request), format="csv")
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    lines = (writer.writerow(row) for row in itertools.chain([_TITLES], _cells(rows)))
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="executions.csv"'
    return answer


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def _cells(rows: QuerySet[Execution]) -> Iterator[list[str]]:
    for one in rows.iterator(chunk_size=2000):
        values = (
            one.pk,
            one.job.name,
            one.job.pic_team.name,
            one.status,
            one.trigger_type,
            utc_ms(one.scheduled_for),
            utc_ms(one.started_at),
            one.duration_seconds,
            one.response_status,
            masked_text(one.error_message),
        )
        yield [quoted("" if value is None else str(value)) for value in values]


ALL = [run_again, export_csv]
