"""The form of a job, and those of the bulk actions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
)

from contract.errors import DomainError
from jobs import services
from jobs.models import LIMITS, Job, RetryOn
from jobs.targets import GITHUB_FIELDS
from taxonomy.models import Category, PicTeam

WEBHOOK, GITHUB = "webhook", "github"


class RetryOnField(forms.MultipleChoiceField):
    """Failures after which another attempt is made."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=RetryOn.choices, **kwargs)


class EmailsField(forms.CharField):
    """Addresses, one a line or separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [one.strip() for one in (super().to_python(value) or "").replace(",", "\n").split("\n") if one.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class JobForm(forms.ModelForm[Job]):
    """Validates with the same rules as the API."""

    target_kind = forms.ChoiceField(
        label=_("What is called"),
        choices=[(WEBHOOK, _("A webhook")), (GITHUB, _("A GitHub Actions workflow"))],
        widget=UnfoldAdminRadioSelectWidget,
        required=False,
    )
    retry_on = RetryOnField(
        label=_("Retry on"), required=False, help_text=_("After which failures another attempt is made.")
    )
    notification_emails = EmailsField(
        label=_("E-mail addresses"), required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text=_("One a line."),
    )  # fmt: skip

    class Meta:
        model = Job
        fields = (
            "name", "category", "pic_team", "is_active", "cron_expression", "jitter_seconds", "target_url", "github_owner", "github_repo",
            "github_workflow_name", "github_ref", "github_credential", "wait_for_run", "run_limit_minutes", "metadata", "start_date", "end_date", "misfire_policy", "misfire_grace_seconds", "overlap_policy",
            "timeout_seconds", "connect_timeout_seconds", "max_attempts", "retry_backoff_seconds", "retry_deadline_seconds", "retry_on",
            "enable_email_notifications", "notification_emails", "notify_on_success",
            "alert_after_failures", "alert_window", "notify_on_recovery", "slow_after_seconds", "slow_by_history", "notify_on_missed", "alert_slack",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "target_kind" in self.fields:
            is_github = self.initial.get("github_repo") or self.instance.github_repo
            self.initial.setdefault("target_kind", GITHUB if is_github else WEBHOOK)
        for name in LIMITS:
            if name in self.fields:
                # Left out, a number stays as it is.
                self.fields[name].required = False
        if "metadata" in self.fields:
            self.fields["metadata"].widget.attrs.update({"data-json": "", "rows": 6, "spellcheck": "false"})

    def payload(self) -> dict[str, Any]:
        """The form as the API's body."""
        data = dict(self.cleaned_data)
        data = {name: value for name, value in data.items() if name not in LIMITS or value is not None}
        kind = data.pop("target_kind", "")
        if kind == WEBHOOK:
            data.update(dict.fromkeys(GITHUB_FIELDS, ""))
        elif kind == GITHUB:
            data["target_url"] = ""
        data["github_credential"] = data["github_credential"].name if data.get("github_credential") else ""
        data["category"], data["pic_team"] = data["category"].slug, data["pic_team"].slug
        data["end_date"] = data["end_date"].isoformat()
        data["start_date"] = data["start_date"].isoformat() if data["start_date"] else None
        return data

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            if self.instance._state.adding:
                values = services.clean_new(self.payload())
            else:
                values = services.clean_changes(services.get_job(self.instance.pk), self.payload())
        except DomainError as exc:
            for name, texts in (exc.fields or {"": [exc.message]}).items():
                self.add_error(name if name in self.fields else None, texts)
            return data
        return {**data, **values}


class ExtendForm(forms.Form):
    """A later end date for many jobs."""

    end_date = forms.DateField(label=_("New end date"), widget=UnfoldAdminSingleDateWidget)


class MoveForm(forms.Form):
    """Another team or category for many jobs; what is left empty stays."""

    pic_team = forms.ModelChoiceField(
        PicTeam.objects.none(), label=_("PIC team"), required=False, widget=UnfoldAdminSelectWidget
    )
    category = forms.ModelChoiceField(
        Category.objects.none(), label=_("Category"), required=False, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pic_team"].queryset = PicTeam.objects.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["category"].queryset = Category.objects.filter(is_active=True)  # type: ignore[attr-defined]

    def changes(self) -> dict[str, str]:
        """The fields to change, as the API takes them."""
        return {name: label.slug for name, label in self.cleaned_data.items() if label is not None}
