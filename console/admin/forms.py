"""The forms of a job and of the bulk actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db import models
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import User
from console import pairs
from console.pages.windows import pause_choices
from core.admin import DayInput, show_errors
from core.api.errors import DomainError
from jobs import services
from jobs.field_traits import declared
from jobs.fields import RetryOn
from jobs.input import clean_changes, clean_new
from jobs.models import Job
from jobs.targets import kinds
from taxonomy.models import Category, PicTeam


def form_fields() -> tuple[str, ...]:
    """The columns of a job that the form contains."""
    return tuple(field.name for field in declared(Job) if field.traits.section)


def numbers() -> tuple[str, ...]:
    """The integer fields among them."""
    return tuple(field.name for field in declared(Job) if field.traits.bounds)


def kept_if_empty() -> tuple[str, ...]:
    """The fields that an empty value leaves as they are: numbers, and choices of which none is empty."""
    chosen = [field.name for field in declared(Job) if field.column.choices and not field.column.blank]
    return (*numbers(), *chosen)


class RetryOnField(forms.MultipleChoiceField):
    """The failures after which another attempt is made."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=RetryOn.choices, **kwargs)


class EmailsField(forms.CharField):
    """E-mail addresses, one a line or separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [one.strip() for one in (super().to_python(value) or "").replace(",", "\n").split("\n") if one.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class PairsField(forms.CharField):
    """Names with values, one pair a line."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else pairs.write(value)

    def to_python(self, value: Any) -> Any:
        try:
            return pairs.read(super().to_python(value) or "") or None
        except ValueError as exc:
            raise forms.ValidationError(
                _("Write one pair per line, such as Accept: application/json, and each name once: %(line)s"),
                params={"line": exc},
            ) from exc

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or None) != self.to_python(data))
        except forms.ValidationError:
            return True


class JobForm(forms.ModelForm[Job]):
    """The form of a job, with the validation of the API. Its fields are derived from the declared fields of jobs and
    target kinds.
    """

    target_kind = forms.ChoiceField(label=_("What is called"), widget=UnfoldAdminRadioSelectWidget, required=False)
    retry_on = RetryOnField(label=_("Retry on"), required=False, help_text=_("The failures that are retried."))
    notification_emails = EmailsField(
        label=_("E-mail addresses"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_("One per line."),
    )

    headers = PairsField(
        label=_("Headers"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("One per line, such as Accept: application/json. At most 32."),
    )
    query = PairsField(
        label=_("Query"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("Appended to the URL. One per line, such as date: today."),
    )

    # The user who fills the form in.
    acting: ClassVar[User | None] = None

    class Meta:
        model = Job
        fields = form_fields()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "target_kind" in self.fields:
            self._add_target_fields()
        bounds = {field.name: field.traits.bounds for field in declared(Job) if field.traits.bounds}
        for name in kept_if_empty():
            if name in self.fields:
                self.fields[name].required = False
        for name in numbers():
            if name in self.fields:
                least, most = bounds[name]
                self.fields[name].widget.attrs.update({"min": least, "max": most})
        if "metadata" in self.fields:
            self.fields["metadata"].widget.attrs.update({"data-json": "", "rows": 6, "spellcheck": "false"})
        if "body_text" in self.fields:
            self.fields["body_text"].strip = False  # type: ignore[attr-defined]
            self.fields["body_text"].widget.attrs.update({"rows": 4, "spellcheck": "false"})

    def _add_target_fields(self) -> None:
        """Add the choice of the kind, and a text field for each target field without a column."""
        kind_choice: Any = self.fields["target_kind"]
        kind_choice.choices = [(kind.short_name, kind.label) for kind in kinds.registered()]
        stored = self.instance.target_kind if self.instance.pk else ""
        short = next((kind.short_name for kind in kinds.registered() if kind.kind == stored), "")
        if not self.instance._state.adding and short:
            self.initial.setdefault("target_kind", short)
        self.initial.setdefault("target_kind", kinds.registered()[0].short_name)
        for one in kinds.fields():
            if not one.column and one.name in self.fields:
                self.initial.setdefault(one.name, self.instance.target_options.get(one.name, ""))

    def payload(self) -> dict[str, Any]:
        """The form's values as an API request body."""
        data = dict(self.cleaned_data)
        kept = kept_if_empty()
        data = {name: value for name, value in data.items() if name not in kept or value not in (None, "")}
        chosen = data.pop("target_kind", "")
        for kind in kinds.registered():
            if chosen and kind.short_name != chosen:
                data.update(dict.fromkeys([one.name for one in kind.fields], ""))
        data["github_credential"] = data["github_credential"].name if data.get("github_credential") else ""
        data["webhook_credential"] = data["webhook_credential"].name if data.get("webhook_credential") else ""
        data["calendar"] = data["calendar"].slug if data.get("calendar") else ""
        data["category"], data["pic_team"] = data["category"].slug, data["pic_team"].slug
        for field in declared(Job):
            if isinstance(field.column, models.DateField) and field.name in data:
                data[field.name] = data[field.name].isoformat() if data[field.name] else None
        return data

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            if self.instance._state.adding:
                values = clean_new(self.payload(), by=self.acting)
            else:
                values = clean_changes(services.get_job(self.instance.pk), self.payload(), by=self.acting)
        except DomainError as exc:
            show_errors(self, exc)
            return data
        self.instance.target_kind = values.pop("target_kind")
        self.instance.target_options = values.pop("target_options")
        return {**data, **values}


class ExtendForm(forms.Form):
    """The form that extends many jobs."""

    end_date = forms.DateField(label=_("New end date"), widget=DayInput)


class RunNowForm(forms.Form):
    """Running selected jobs of which a window keeps some from firing."""

    force = forms.BooleanField(label=_("Run although a window is open"), required=False)


class PauseForm(forms.Form):
    """The form that pauses many jobs."""

    until = forms.ChoiceField(label=_("How long"), choices=pause_choices, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget)


class MoveForm(forms.Form):
    """The form that moves many jobs to another team or category; an empty field changes nothing."""

    pic_team = forms.ModelChoiceField(
        PicTeam.objects.none(), label=_("Team"), required=False, widget=UnfoldAdminSelectWidget
    )
    category = forms.ModelChoiceField(
        Category.objects.none(), label=_("Category"), required=False, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pic_team"].queryset = PicTeam.objects.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["category"].queryset = Category.objects.filter(is_active=True)  # type: ignore[attr-defined]

    def changes(self) -> dict[str, str]:
        """The changed fields as in an API request body."""
        return {name: label.slug for name, label in self.cleaned_data.items() if label is not None}
