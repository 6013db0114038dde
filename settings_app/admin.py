"""Settings in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
)

from core import page_links
from core.admin import ProductAdmin
from core.api.errors import DomainError
from settings_app import credential_rights, services
from settings_app.models import (
    PREFERENCE_FLAGS,
    EnvironmentToken,
    GitHubCredential,
    Preferences,
    SlackSettings,
    UiPreferences,
)

RIGHTS = ("usable_by", "repositories", "teams")


class SlackSettingsForm(forms.ModelForm[SlackSettings]):
    """The URL is not shown again; an empty field keeps the stored one."""

    new_webhook_url = forms.CharField(
        label=_("Webhook URL"),
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_("https only; stored encrypted and not shown again. Leave it empty to keep the one that is stored."),
    )

    class Meta:
        model = SlackSettings
        fields = ("is_enabled", "channel")

    def clean_new_webhook_url(self) -> str:
        try:
            return services.slack_url(self.cleaned_data["new_webhook_url"])
        except DomainError as exc:
            raise ValidationError(exc.spoken) from exc

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("is_enabled") and not (data.get("new_webhook_url") or self.instance.webhook_url):
            raise ValidationError({"new_webhook_url": _("Slack needs a webhook URL before it can be enabled.")})
        self.instance.webhook_url = data.get("new_webhook_url") or self.instance.webhook_url
        return data


class SingleRowAdmin(ProductAdmin):
    """A model with one row: its list leads to the form of it."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        pk, options = self.model.current().pk, self.model._meta
        return HttpResponseRedirect(reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[pk]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The list creates the row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SlackSettings)
class SlackSettingsAdmin(SingleRowAdmin):
    """The single row of Slack settings."""

    form = SlackSettingsForm
    list_display = ("__str__", "is_enabled", "channel", "updated_at")
    readonly_fields = ("created_at", "updated_at")
    fields = ("is_enabled", "new_webhook_url", "channel", "created_at", "updated_at")

    change_form_before_template = "settings_app/slack_tools.html"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, with the URL of the test button."""
        context = {**(extra_context or {}), "test_url": page_links.path_of("slack_test")}
        return super().change_view(request, object_id, form_url, context)


class RightsForm(forms.ModelForm[Any]):
    """The rights of a token."""

    def clean_repositories(self) -> str:
        try:
            return credential_rights.cleaned(self.cleaned_data["repositories"])
        except DomainError as exc:
            raise ValidationError(exc.spoken) from exc


class GitHubCredentialForm(RightsForm, forms.ModelForm[GitHubCredential]):
    """Secrets are not shown again; an empty field keeps the stored one."""

    new_token = forms.CharField(
        label=_("Token"),
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_(
            "With the permission Actions: read and write. Stored encrypted and not shown again; "
            "leave it empty to keep it."
        ),
    )
    new_private_key = forms.CharField(
        label=_("Private key (PEM)"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "The whole file, for a GitHub App. Stored encrypted and not shown again; leave it empty to keep it."
        ),
    )

    class Meta:
        model = GitHubCredential
        fields = ("name", "kind", "app_id", "installation_id", *RIGHTS)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        one = self.instance
        for name in ("token", "private_key"):
            if data.get(f"new_{name}"):
                setattr(one, name, data[f"new_{name}"].strip())
            elif one._state.adding:
                setattr(one, name, "")
        stored = GitHubCredential.objects.filter(pk=one.pk)
        if data.get("kind") == GitHubCredential.Kind.TOKEN:
            if not (data.get("new_token") or stored.exclude(token="").exists()):
                raise ValidationError({"new_token": _("Paste the token.")})
            if not (data.get("new_token", "").isascii() and data.get("new_token", "").strip().isprintable()):
                raise ValidationError({"new_token": _("The token contains invalid characters: copy it again.")})
        elif not (
            data.get("app_id")
            and data.get("installation_id")
            and (data.get("new_private_key") or stored.exclude(private_key="").exists())
        ):
            raise ValidationError(_("A GitHub App needs its app id, its installation id and its private key."))
        if data.get("new_token") or data.get("new_private_key"):
            one.problem, one.warned_at, one.expires_at = "", None, None
        return data


class RightsAdmin(ProductAdmin):
    """The widgets of a token's rights: a short text, and boxes to tick."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "repositories":
            kwargs["widget"] = UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"})
        if db_field.name == "teams":
            # Django's double list is wider than the page.
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "teams" and field is not None:
            field.widget.can_add_related = False
        return field


@admin.register(GitHubCredential)
class GitHubCredentialAdmin(RightsAdmin):
    """Named credentials that jobs select."""

    form = GitHubCredentialForm
    list_display = ("name", "kind", "usable_by", "problem", "expires_at", "updated_at")
    list_filter = ("kind", "usable_by")
    search_fields = ("name",)
    readonly_fields = ("problem", "expires_at", "created_at", "updated_at")
    fields = (
        "name",
        "kind",
        "new_token",
        "app_id",
        "installation_id",
        "new_private_key",
        *RIGHTS,
        "problem",
        "expires_at",
        "created_at",
        "updated_at",
    )
    change_form_before_template = "settings_app/credential_tools.html"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, with the URL of the button that checks the credential."""
        context = {**(extra_context or {}), "check_url": page_links.path_of("credential_check", object_id)}
        return super().change_view(request, object_id, form_url, context)


@admin.register(EnvironmentToken)
class EnvironmentTokenAdmin(RightsAdmin, SingleRowAdmin):
    """Who may use GITHUB_TOKEN."""

    form = RightsForm
    list_display = ("__str__", "usable_by", "updated_at")
    readonly_fields = ("updated_at",)
    fields = (*RIGHTS, "updated_at")


@admin.register(Preferences)
class PreferencesAdmin(ProductAdmin):
    list_display = ("user", *PREFERENCE_FLAGS)
    list_filter = PREFERENCE_FLAGS
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")


@admin.register(UiPreferences)
class UiPreferencesAdmin(ProductAdmin):
    list_display = ("user", "updated_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
