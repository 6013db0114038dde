"""The page on which schedules of other schedulers become jobs: where they are, a preview with a verdict on each line,
and after the second click the lines to remove there.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views import View
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.permissions import require_login
from core.admin import DayInput
from core.api.errors import DomainError
from jobs.models import today
from moving import services
from moving.entries import Proposal, Verdict
from settings_app.models import GitHubCredential
from taxonomy.models import Category, PicTeam

_SALT = "console.pages.import_schedules"
_SECONDS = 45.0
# Each row has a box, and a form at most a thousand fields.
_SHOWN = 900
_SOURCES = (
    ("github", gettext_lazy("GitHub Actions: workflows with a schedule")),
    ("crontab", gettext_lazy("A crontab of a user")),
    ("crontab-system", gettext_lazy("A crontab of the system (/etc/crontab, /etc/cron.d)")),
    ("kubernetes", gettext_lazy("Kubernetes: CronJob manifests (YAML)")),
    ("eventbridge", gettext_lazy("Amazon EventBridge (JSON of the AWS command)")),
    ("cloud-scheduler", gettext_lazy("Google Cloud Scheduler (JSON of gcloud)")),
    ("celery-beat", gettext_lazy("django-celery-beat (dumpdata)")),
    ("quartz", gettext_lazy("Quartz (one expression a line)")),
)
_LABELS = {
    Verdict.EXACT: (gettext_lazy("exact"), "s-success"),
    Verdict.CHANGED: (gettext_lazy("changed"), "s-skipped"),
    Verdict.CANNOT: (gettext_lazy("cannot"), "s-failed"),
}


class ImportSchedulesForm(forms.Form):
    """Where the schedules are, and what the jobs have in common."""

    source = forms.ChoiceField(label=gettext_lazy("Source"), choices=_SOURCES, widget=UnfoldAdminSelectWidget)
    github_credential = forms.ModelChoiceField(
        label=gettext_lazy("GitHub credential"),
        queryset=GitHubCredential.objects.order_by("name"),
        to_field_name="name",
        required=False,
        empty_label="GITHUB_TOKEN",
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("For GitHub Actions: its repositories are read."),
    )
    file = forms.FileField(label=gettext_lazy("File"), required=False, widget=UnfoldAdminFileFieldWidget)
    text = forms.CharField(
        label=gettext_lazy("Or its text"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
    )
    pic_team = forms.ModelChoiceField(
        label=gettext_lazy("Team"),
        queryset=PicTeam.objects.filter(is_active=True),
        to_field_name="slug",
        widget=UnfoldAdminSelectWidget,
    )
    category = forms.ModelChoiceField(
        label=gettext_lazy("Category"),
        queryset=Category.objects.filter(is_active=True),
        to_field_name="slug",
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    end_date = forms.DateField(label=gettext_lazy("End date"), widget=DayInput)
    target_url = forms.CharField(
        label=gettext_lazy("Target URL"),
        required=False,
        max_length=2048,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Called in place of commands, containers and tasks; without it these are left out."),
    )

    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Of the machine, for schedules that name none, such as a crontab's: Asia/Tokyo."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("source") != services.GITHUB and not (data.get("file") or data.get("text")):
            self.add_error("file", _("Choose a file, or paste its text."))
        return data

    def given(self) -> dict[str, Any]:
        """What the jobs have in common, as the API names it."""
        data = self.cleaned_data
        return {
            "pic_team": data["pic_team"].slug,
            "category": data["category"].slug if data["category"] else "",
            "end_date": data["end_date"].isoformat(),
            "target_url": data["target_url"],
            "time_zone": data["zone"],
        }


class ImportSchedulesView(View):
    """`GET` shows the form, `POST` of it the preview, `POST` of the preview creates the chosen jobs."""

    site: Any = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.has_perm("jobs.add_job"):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        initial = {"end_date": today() + dt.timedelta(days=365), "source": request.GET.get("source", services.GITHUB)}
        return self._page(request, form=ImportSchedulesForm(initial=initial))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if "proposals" in request.POST:
            return self._create(request)
        form = ImportSchedulesForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, form=form)
        try:
            found = self._propose(request, form)
        except DomainError as exc:
            form.add_error(None, exc.spoken)
            return self._page(request, form=form)
        shown = found.proposals[:_SHOWN]
        rows = [_row(number, one) for number, one in enumerate(shown)]
        hidden = len(found.proposals) - len(shown)
        return self._page(request, rows=rows, found=found, counts=_counts(found), kept=_kept(shown), hidden=hidden)

    def _propose(self, request: HttpRequest, form: ImportSchedulesForm) -> services.Proposals:
        data, by = form.cleaned_data, require_login(request)
        if data["source"] == services.GITHUB:
            name = data["github_credential"].name if data["github_credential"] else ""
            return services.propose_github(name, form.given(), by=by, seconds=_SECONDS)
        raw = data["file"].read().decode("utf-8-sig", "replace") if data["file"] else data["text"]
        return services.propose_file(data["source"], raw, form.given(), by=by)

    def _create(self, request: HttpRequest) -> HttpResponseBase:
        try:
            kept = _read_kept(request.POST["proposals"])
            numbers = {int(number) for number in request.POST.getlist("chosen")}
            chosen = [kept[number] for number in sorted(numbers)]
            jobs = services.create([one["job"] for one in chosen], by=require_login(request))
        except (signing.BadSignature, KeyError, IndexError, ValueError):
            messages.error(request, _("The preview is too old: choose the file again."))
            return self.get(request)
        except DomainError as exc:
            messages.error(request, exc.spoken)
            return self.get(request)
        words = ngettext(
            "%(count)d job was created, disabled: look at it, and enable it.",
            "%(count)d jobs were created, disabled: look at them, and enable them.",
            len(jobs),
        )
        messages.success(request, words % {"count": len(jobs)})
        return self._page(request, jobs=jobs, removals=_removals(kept, numbers))

    def _page(self, request: HttpRequest, **more: Any) -> HttpResponse:
        context = {**self.site.each_context(request), "title": _("Import schedules"), **more}
        return TemplateResponse(request, "console/import_schedules.html", context)


def _row(number: int, proposal: Proposal) -> dict[str, Any]:
    label, kind = _LABELS[proposal.verdict]
    is_exact = proposal.verdict is Verdict.EXACT
    return {"number": number, "proposal": proposal, "label": label, "kind": kind, "is_exact": is_exact}


def _counts(found: services.Proposals) -> dict[str, int]:
    return {verdict.value: sum(one.verdict is verdict for one in found.proposals) for verdict in Verdict}


def _removals(kept: list[dict[str, Any]], chosen: set[int]) -> list[dict[str, str]]:
    """The patches of the files all of whose schedules were chosen, one for each repository."""
    rows = [(one["source"], one["removal"], number in chosen) for number, one in enumerate(kept)]
    return [{"repository": name, "patch": patch} for name, patch in services.removals(rows).items()]


def _kept(proposals: list[Proposal]) -> str:
    """The proposals for the preview's form: compressed, and signed against changes."""
    rows = [{"job": one.job, "source": one.entry.source, "removal": one.removal} for one in proposals]
    packed = base64.b64encode(zlib.compress(json.dumps(rows).encode())).decode()
    return signing.TimestampSigner(salt=_SALT).sign_object(packed)


def _read_kept(text: str) -> list[dict[str, Any]]:
    packed = signing.TimestampSigner(salt=_SALT).unsign_object(text, max_age=3600)
    found: list[dict[str, Any]] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found
