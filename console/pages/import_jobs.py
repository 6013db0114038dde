"""The import page: the file is validated, its rows are previewed with their errors, and a second click creates the
valid rows.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views import View
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextInputWidget

from accounts.permissions import require_login
from core.api.errors import DomainError
from core.sentences import said
from jobs.advice import warnings_of
from jobs.transfer.columns import template_titles
from jobs.transfer.importing import Import, import_jobs

_SALT = "console.pages.import_jobs"
_SHOWN = 1000
_FORM_BYTES = 64 * 1024


class ImportForm(forms.Form):
    """The uploaded file, or its validated contents from the preview."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,text/csv"}),
        help_text=gettext_lazy("UTF-8, UTF-16 or Shift_JIS, as Excel writes them; the first row names the columns."),
    )
    default_github_owner = forms.CharField(
        label=gettext_lazy("GitHub owner for rows without one"),
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
    )


class ImportView(View):
    """`GET` shows the form, `POST` with a file the preview, `POST` from the preview creates the jobs."""

    site: Any = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.has_perm("jobs.add_job"):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if "template" in request.GET:
            answer = HttpResponse(",".join(template_titles()) + "\r\n", content_type="text/csv; charset=utf-8")
            answer["Content-Disposition"] = 'attachment; filename="jobs.csv"'
            return answer
        return self._page(request, ImportForm(initial={"default_github_owner": settings.DEFAULT_GITHUB_OWNER}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if "checked" in request.POST:
            return self._create(request)
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._page(request, form)
        file: Any = form.cleaned_data["file"]
        owner = form.cleaned_data["default_github_owner"]
        if (file.size or 0) > settings.MAX_UPLOAD_BYTES:
            form.add_error("file", _("The file is too large: split it."))
            return self._page(request, form)
        raw = file.read()
        try:
            found = import_jobs(raw, by=require_login(request), dry_run=True, default_owner=owner)
        except DomainError as exc:
            form.add_error("file", exc.spoken)
            return self._page(request, form)
        checked = _kept(raw, owner)
        if len(checked) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE - _FORM_BYTES:
            form.add_error("file", _("The file is too large: split it."))
            return self._page(request, form)
        return self._page(request, form, preview=_preview(found), checked=checked)

    def _create(self, request: HttpRequest) -> HttpResponseBase:
        try:
            raw, owner = _read_kept(request.POST["checked"])
            found = import_jobs(raw, by=require_login(request), dry_run=False, default_owner=owner)
        except signing.BadSignature:
            messages.error(request, _("The preview is too old: choose the file again."))
            return HttpResponseRedirect(request.path)
        except DomainError as exc:
            messages.error(request, exc.spoken)
            return HttpResponseRedirect(request.path)
        created = len(found.jobs)
        messages.success(
            request,
            ngettext("%(count)d job was created.", "%(count)d jobs were created.", created) % {"count": created},
        )
        for error in found.errors[:5]:
            messages.warning(request, f"{_('Row')} {error['row']}: {error['message']}")
        return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))

    def _page(self, request: HttpRequest, form: ImportForm, **more: Any) -> TemplateResponse:
        context = {**self.site.each_context(request), "title": _("Import jobs"), "form": form, **more}
        return TemplateResponse(request, "console/import.html", context)


def _preview(found: Import) -> dict[str, Any]:
    good = [
        {
            "row": row.number,
            "name": job.name,
            "job": job,
            "words": job.schedule.describe(),
            "target": str(job.target),
            "warnings": [said(warning) for warning in warnings_of(job)],
        }
        for row, job in found.jobs
    ]
    bad = [
        {
            "row": error["row"],
            "name": error["job_name"],
            "column": error["column"],
            "error": said(error["message"].removeprefix(f"{error['error']}. ")),
        }
        for error in found.errors
    ]
    rows = sorted(good + bad, key=lambda row: int(row["row"]))
    return {"rows": rows[:_SHOWN], "hidden": max(0, len(rows) - _SHOWN), "good": len(good), "bad": len(bad)}


def _kept(raw: bytes, owner: str) -> str:
    """A validated file for the preview's form: compressed, and signed against changes."""
    packed = base64.b64encode(zlib.compress(raw)).decode()
    return signing.TimestampSigner(salt=_SALT).sign_object([packed, owner])


def _read_kept(text: str) -> tuple[bytes, str]:
    packed, owner = signing.TimestampSigner(salt=_SALT).unsign_object(text, max_age=3600)
    return zlib.decompress(base64.b64decode(packed)), owner
