"""Business calendars in the admin: the form with its year view, and what a change would do before it is saved."""

from __future__ import annotations

import hashlib
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from calendars.business_days import DAY, BusinessDays, countries, country_name, days_of
from calendars.day_files import read_file, to_lines
from calendars.models import Calendar, saturday_and_sunday
from core import page_links
from core.admin import ProductAdmin, show_errors
from core.api.errors import DomainError
from core.sentences import said
from jobs import calendars
from jobs.models import zone_named

_YEARS = 3
# Names of the API's fields that the form calls otherwise.
_FIELDS = {"days": "listed"}
_WEEKDAYS = [
    (1, gettext_lazy("Monday")),
    (2, gettext_lazy("Tuesday")),
    (3, gettext_lazy("Wednesday")),
    (4, gettext_lazy("Thursday")),
    (5, gettext_lazy("Friday")),
    (6, gettext_lazy("Saturday")),
    (7, gettext_lazy("Sunday")),
]


class CalendarForm(forms.ModelForm[Calendar]):
    """A change that moves fire times is shown first; sending the same form again confirms it."""

    weekend_days: Any = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Weekend days"),
        choices=_WEEKDAYS,
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    country = forms.ChoiceField(label=gettext_lazy("National holidays"), required=False, widget=UnfoldAdminSelectWidget)
    listed: Any = forms.CharField(
        label=gettext_lazy("Listed days"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "data-calendar-days": ""}),
        help_text=gettext_lazy("A day a line: 2026-12-31 closed 年末年始. A click on a day below writes it here."),
    )
    file = forms.FileField(
        label=gettext_lazy("Add days from a file"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.ics"}),
        help_text=gettext_lazy(
            "CSV (date, open or closed, label) or iCalendar (.ics): events of whole days are closed."
        ),
    )
    confirm = forms.CharField(required=False, label="", widget=forms.HiddenInput)

    class Meta:
        model = Calendar
        fields = ("name", "slug", "country", "time_zone", "weekend_days")

    effect: calendars.Effect | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(code, f"{country_name(code)} ({code})") for code in countries()]
        self.fields["country"].choices = [("", _("None")), *choices]  # type: ignore[attr-defined]
        if self.instance.pk and not self.instance._state.adding:
            self.initial["listed"] = to_lines(self.instance.days.all())

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            self._clean(data)
        except DomainError as exc:
            show_errors(self, exc, _FIELDS)
        return data

    def _clean(self, data: dict[str, Any]) -> None:
        """Validate as the API does, and compute what the change would do."""
        is_new = self.instance._state.adding
        stored = None if is_new else calendars.get_calendar(str(self.instance.pk))
        values, days = calendars.clean({"name": "-", "slug": "-a", **self.payload()}, stored)
        if not data.get("slug") and "slug" in values:
            data["slug"] = values["slug"]
        listed = {day.date: day for day in days or []}
        if data.get("file"):
            zone = zone_named(values.get("time_zone", ""))
            listed |= {day.date: day for day in read_file(data["file"].read(), data["file"].name, zone)}
            # The second look sends the form again, without the file.
            self._keep("listed", to_lines(listed[date] for date in sorted(listed)))
        data["listed"] = to_lines(listed[date] for date in sorted(listed))
        if stored is None:
            return
        self.effect = calendars.effect(stored, self.payload())
        if self.effect.broken:
            names = ", ".join(self.effect.broken[:5])
            self.add_error("listed", _("These jobs would never fire: %(names)s.") % {"names": names})
        elif self.effect.changes and data.get("confirm") != self._digest():
            self._keep("confirm", self._digest())
            words = ngettext(
                "%(count)d fire time of %(jobs)d jobs would change in the next 90 days. Look at them above, and save "
                "again to confirm.",
                "%(count)d fire times of %(jobs)d jobs would change in the next 90 days. Look at them above, and save "
                "again to confirm.",
                self.effect.changes,
            )
            self.add_error(None, words % {"count": self.effect.changes, "jobs": self.effect.jobs})

    def _keep(self, name: str, value: str) -> None:
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data[name] = value
        self.data = data

    def _digest(self) -> str:
        return hashlib.sha256(repr(sorted(self.payload().items())).encode()).hexdigest()

    def payload(self) -> dict[str, Any]:
        """The form's values as an API request body."""
        data = self.cleaned_data
        names = ("name", "slug", "country", "time_zone", "weekend_days", "days")
        return {name: data.get(_FIELDS.get(name, name)) for name in names}


@admin.register(Calendar)
class CalendarAdmin(ProductAdmin):
    """The business calendars that jobs use."""

    form = CalendarForm
    list_display = ("name", "slug", "holidays_cell", "closed_next", "job_count", "updated_at")
    search_fields = ("name", "slug")
    purpose = gettext_lazy("A business calendar tells the closed days, on which jobs are skipped or moved.")
    change_form_before_template = "console/calendar_effect.html"
    change_form_after_template = "console/calendar_year.html"
    actions = None

    class Media:
        js = ("console/calendar_year.js",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ("name", "slug", "country", "time_zone", "weekend_days", "listed")
        return (*shown, "file", "confirm") if self.has_change_permission(request, obj) else shown

    @admin.display(description=gettext_lazy("Listed days"))
    def listed(self, calendar: Calendar) -> str:
        """The listed days for who may only look."""
        return to_lines(calendar.days.all()) or "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        jobs = Count("jobs", filter=Q(jobs__deleted_at=None))
        found: QuerySet[Any] = super().get_queryset(request).prefetch_related("days").annotate(_jobs=jobs)
        return found

    @admin.display(description=gettext_lazy("National holidays"), ordering="country")
    def holidays_cell(self, calendar: Calendar) -> str:
        return country_name(calendar.country) if calendar.country else "—"

    @admin.display(description=gettext_lazy("Next closed day on a weekday"))
    def closed_next(self, calendar: Calendar) -> str:
        days = calendar.business_days()
        start = timezone.now().astimezone(calendar.zone).date()
        for month in (start, start.replace(day=28) + 4 * DAY):
            for day in days_of(month.year, month.month):
                if day >= start and day.isoweekday() not in days.weekend and (reason := days.closed_because(day)):
                    return f"{day} {said(reason)}"
        return "—"

    @admin.display(description=gettext_lazy("Jobs"), ordering="_jobs")
    def job_count(self, calendar: Any) -> str:
        url = page_links.path_of("job_list", calendar__id__exact=calendar.pk)
        return format_html('<a href="{}">{}</a>', url, calendar._jobs)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        calendar = kwargs.get("obj") or Calendar(country="JP")
        days = calendar.business_days([] if calendar._state.adding else None)
        year = timezone.now().astimezone(calendar.zone).year
        context["years"] = [_year(days, year + number) for number in range(_YEARS)]
        context["effect"] = getattr(context["adminform"].form, "effect", None)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"country": "JP", "weekend_days": saturday_and_sunday(), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            saved, moved = calendars.update(str(obj.pk), form.payload())
            words = ngettext("The next run of %(count)d job changed.", "The next run of %(count)d jobs changed.", moved)
            self.message_user(request, words % {"count": moved})
        else:
            saved = calendars.create(form.payload())
        obj.pk, obj.version = saved.pk, saved.version

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        calendars.delete(str(obj.pk))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """A calendar in use is refused with the names of its jobs."""
        calendar = self.get_object(request, object_id)
        used = calendars.jobs_of(calendar) if calendar else []
        if used:
            names = ", ".join(used[:5])
            self.message_user(request, _("Jobs use this calendar: %(names)s.") % {"names": names}, "ERROR")
            return HttpResponseRedirect(reverse("admin:calendars_calendar_change", args=[object_id]))
        return super().delete_view(request, object_id, extra_context)


def _year(days: BusinessDays, year: int) -> dict[str, Any]:
    """A year as twelve months of weeks, Monday first; None pads the first week."""
    listed = BusinessDays(key=f"natural:{days.key}", name=days.name, weekend=days.weekend, country=days.country)
    months = []
    for month in range(1, 13):
        dates = list(days_of(year, month))
        cells: list[Any] = [None] * dates[0].weekday()
        for date in dates:
            cells.append(
                {
                    "date": date,
                    "reason": said(days.closed_because(date)),
                    "natural": said(listed.closed_because(date)),
                    "is_listed": date in days.open or date in days.closed,
                }
            )
        cells += [None] * (-len(cells) % 7)
        months.append({"first": dates[0], "weeks": [cells[at : at + 7] for at in range(0, len(cells), 7)]})
    return {"year": year, "is_provisional": days.is_provisional(dates[0]), "months": months}
