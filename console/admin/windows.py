"""Windows and pauses in the admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckBoxes
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.permissions import require_login
from console.pages import windows
from console.pages.job_form import way_back
from console.templatetags.console import minute
from core.admin import MomentInput, ProductAdmin, act_button, show_errors
from core.api.errors import DomainError
from jobs.models import Job
from taxonomy.models import Category, Label, PicTeam
from windows import services
from windows.models import Window

_SCOPE = ("teams", "categories")
# Names of the API's fields that the form calls otherwise.
_FIELDS = {"jobs": "job_names"}
_MOST_JOBS = 5
# What may be paused by one click, besides jobs and everything.
_LABELS: dict[str, type[Label]] = {"team": PicTeam, "category": Category}


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class WindowForm(forms.ModelForm[Window]):
    """Validates as the API does."""

    starts_at = forms.DateTimeField(label=gettext_lazy("From"), widget=MomentInput())
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=MomentInput(),
        help_text=gettext_lazy("Empty: until somebody ends it. All jobs: at most 14 days."),
    )
    teams: Any = forms.ModelMultipleChoiceField(
        PicTeam.objects.by_name(), label=gettext_lazy("Teams"), required=False, widget=CheckBoxes
    )
    categories: Any = forms.ModelMultipleChoiceField(
        Category.objects.by_name(), label=gettext_lazy("Categories"), required=False, widget=CheckBoxes
    )
    job_names: Any = LinesField(
        label=gettext_lazy("Jobs"), required=False, help_text=gettext_lazy("Names of jobs, one a line.")
    )
    repositories: Any = LinesField(
        label=gettext_lazy("Repositories"), required=False, help_text=gettext_lazy("owner/repository, one a line.")
    )
    hosts: Any = LinesField(
        label=gettext_lazy("Target hosts"),
        required=False,
        help_text=gettext_lazy("Such as hooks.example.com, one a line."),
    )

    class Meta:
        model = Window
        fields = (
            "name", "reason", "effect", "starts_at", "ends_at", "is_for_all", "teams", "categories",
            "repositories", "hosts", "cron_expression", "minutes",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["job_names"] = [job.name for job in self.instance.jobs.all()]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            services.clean(self.payload(), None if self.instance._state.adding else self.instance)
        except DomainError as exc:
            show_errors(self, exc, _FIELDS)
        return data

    def payload(self) -> dict[str, Any]:
        """The form's values as an API request body."""
        data = self.cleaned_data
        return {
            **{name: data.get(name) for name in self._meta.fields or () if name not in _SCOPE},
            "teams": [team.slug for team in data.get("teams") or ()],
            "categories": [category.slug for category in data.get("categories") or ()],
            "jobs": data.get("job_names") or [],
        }


@admin.register(Window)
class WindowAdmin(ProductAdmin):
    """Periods in which jobs do not fire, or fire later."""

    form = WindowForm
    list_display = ("title", "state", "effect", "scope", "starts_at", "ends_at", "end_button")
    search_fields = ("name", "reason")
    purpose = gettext_lazy(
        "A window keeps jobs from firing for a release or a freeze. When it ends, they go on exactly as before."
    )
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "reason", "effect", ("starts_at", "ends_at"))}),
        (
            gettext_lazy("Which jobs"),
            {"fields": ("is_for_all", "teams", "categories", "job_names", "repositories", "hosts")},
        ),
        (gettext_lazy("Recurring"), {"fields": (("cron_expression", "minutes"),), "classes": ("collapse",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request).prefetch_related("teams", "categories", "jobs")
        return found

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given = super().get_changeform_initial_data(request)
        return {"starts_at": timezone.localtime().replace(second=0, microsecond=0), **given}

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def title(self, window: Window) -> str:
        return window.title

    @admin.display(description=gettext_lazy("State"))
    def state(self, window: Window) -> str:
        now = timezone.now()
        if window.period_at(now):
            return format_html('<span class="cs-pill s-missed">{}</span>', _("open"))
        if window.starts_at > now:
            return format_html('<span class="cs-pill s-queued">{}</span>', _("to come"))
        if window.ends_at is None or window.ends_at > now:
            return format_html('<span class="cs-pill s-queued">{}</span>', _("between two times"))
        return format_html('<span class="cs-pill s-skipped">{}</span>', _("over"))

    @admin.display(description=gettext_lazy("Jobs"))
    def scope(self, window: Window) -> str:
        """What the window covers, in words."""
        if window.is_for_all:
            return _("All jobs")
        jobs = [job.name for job in window.jobs.all()]
        more = [f"… {len(jobs)}"] if len(jobs) > _MOST_JOBS else []
        labels = [str(one) for one in (*window.teams.all(), *window.categories.all())]
        return ", ".join([*labels, *window.repositories, *window.hosts, *jobs[:_MOST_JOBS], *more])

    @admin.display(description=gettext_lazy("Jobs"))
    def job_names(self, window: Window) -> str:
        """The names of its jobs for who may only look."""
        return ", ".join(job.name for job in window.jobs.all()) or "—"

    @admin.display(description="")
    def end_button(self, window: Window) -> str:
        if window.ends_at is not None and window.ends_at <= timezone.now():
            return ""
        return act_button(reverse("admin:windows_window_end", args=[window.pk]), _("End now"))

    def get_urls(self) -> list[Any]:
        return [
            path("pause/<str:over>/", self.admin_site.admin_view(self.pause), name="windows_window_pause"),
            path("pause/<str:over>/<uuid:pk>/", self.admin_site.admin_view(self.pause), name="windows_window_pause"),
            path("<path:window_id>/end/", self.admin_site.admin_view(self.end), name="windows_window_end"),
            *super().get_urls(),
        ]

    def pause(self, request: HttpRequest, over: str, pk: UUID | None = None) -> HttpResponseBase:
        """Pause everything (`over` is "all"), a team or a category, until a time that was chosen by one click."""
        if request.method != "POST":
            return HttpResponse(status=405)
        if not self.has_add_permission(request):
            raise PermissionDenied
        until = windows.until(request.POST.get("for", ""), timezone.now())
        reason, by = request.POST.get("reason", ""), require_login(request)
        try:
            if over == "all":
                made = services.pause_everything(until, reason, by=by)
            else:
                made = services.pause_label(get_object_or_404(_LABELS[over], pk=pk), until, reason, by=by)
            words = _("%(name)s, until %(time)s.") % {"name": made.title, "time": minute(until)}
            self.message_user(request, words, messages.SUCCESS)
        except KeyError as exc:
            raise Http404 from exc
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        return HttpResponseRedirect(way_back(request, reverse("admin:windows_window_changelist")))

    def end(self, request: HttpRequest, window_id: str) -> HttpResponseBase:
        """End a window now; what it held runs."""
        if request.method != "POST":
            return HttpResponse(status=405)
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            window = services.end(services.get_window(window_id), by=require_login(request))
            self.message_user(request, _("%(name)s has ended.") % {"name": window.title}, messages.SUCCESS)
        except DomainError as exc:
            self.message_user(request, exc.spoken, messages.ERROR)
        return HttpResponseRedirect(way_back(request, reverse("admin:windows_window_changelist")))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            saved = services.update(str(obj.pk), form.payload())
        else:
            saved = services.create(form.payload(), by=require_login(request))
        obj.pk = saved.pk
        covered = services.covered(saved, Job.objects.active())
        words = ngettext("It covers %(count)d job.", "It covers %(count)d jobs.", covered)
        self.message_user(request, words % {"count": covered})

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The service has stored the scope."""
