"""Settings in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from core import page_links
from core.admin import ProductAdmin
from settings_app.forms import (
    BUDGET,
    RIGHTS,
    SENT_RIGHTS,
    GitHubCredentialForm,
    RightsForm,
    SecretForm,
    SlackSettingsForm,
    WebhookCredentialForm,
)
from settings_app.models import (
    PREFERENCE_FLAGS,
    EnvironmentToken,
    GitHubCredential,
    Preferences,
    Secret,
    SlackSettings,
    UiPreferences,
    WebhookCredential,
)

_LONG_TEXTS = ("repositories", "allowed_hosts", "client_certificate", "ca_certificates")


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
        """The form, with what is stored and the URL of the test button."""
        rows = SlackSettings.objects
        state = {"is_stored": rows.exclude(webhook_url="").exists(), "is_on": rows.filter(is_enabled=True).exists()}
        context = {**(extra_context or {}), **state, "test_url": page_links.path_of("slack_test")}
        return super().change_view(request, object_id, form_url, context)


class RightsAdmin(ProductAdmin):
    """The widgets of a token's rights: a short text, and boxes to tick."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in _LONG_TEXTS:
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
    purpose = _("Workflows are dispatched with a token or a GitHub App that is stored here, encrypted.")
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
        *BUDGET,
        "new_webhook_secret",
        "problem",
        "expires_at",
        "created_at",
        "updated_at",
    )
    change_form_before_template = "settings_app/credential_tools.html"

    class Media:
        js = ("console/credential_form.js",)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, with the URL of the button that checks the credential."""
        credential = self.get_object(request, object_id)
        address = page_links.path_of("credential_check", credential.pk) if credential else ""
        context = {**(extra_context or {}), "check_url": address}
        return super().change_view(request, object_id, form_url, context)


@admin.register(Secret)
class SecretAdmin(RightsAdmin):
    """Values that requests name."""

    form = SecretForm
    purpose = _("Requests name a secret as {{ secret.NAME }}; it is sent to its hosts only and never shown again.")
    list_display = ("name", "allowed_hosts", "rotated_at", "last_used_at")
    search_fields = ("name", "allowed_hosts")
    readonly_fields = ("rotated_at", "last_used_at", "created_at", "updated_at")
    fields = ("name", "new_value", *SENT_RIGHTS, *readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> tuple[str, ...]:
        """Requests know a secret by its name, so it stays."""
        return self.readonly_fields if obj is None else ("name", *self.readonly_fields)


@admin.register(WebhookCredential)
class WebhookCredentialAdmin(RightsAdmin):
    """How webhooks authenticate themselves."""

    form = WebhookCredentialForm
    purpose = _("How webhooks authenticate themselves: jobs choose one by its name.")
    list_display = ("name", "kind", "allowed_hosts", "rotated_at", "last_used_at")
    list_filter = ("kind", "usable_by")
    search_fields = ("name", "allowed_hosts")
    readonly_fields = ("rotated_at", "last_used_at", "created_at", "updated_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "kind",
                    "username",
                    "header_name",
                    "new_secret",
                    "signs_with_previous",
                    "token_url",
                    "scope",
                    "audience",
                    *SENT_RIGHTS,
                )
            },
        ),
        (
            _("Certificates"),
            {"classes": ("collapse",), "fields": ("client_certificate", "new_client_key", "ca_certificates")},
        ),
        (_("Details"), {"classes": ("collapse",), "fields": readonly_fields}),
    )

    class Media:
        js = ("console/credential_form.js",)


@admin.register(EnvironmentToken)
class EnvironmentTokenAdmin(RightsAdmin, SingleRowAdmin):
    """Who may use GITHUB_TOKEN."""

    form = RightsForm
    list_display = ("__str__", "usable_by", "updated_at")
    readonly_fields = ("updated_at",)
    fields = (*RIGHTS, *BUDGET, "new_webhook_secret", "updated_at")


@admin.register(Preferences)
class PreferencesAdmin(ProductAdmin):
    purpose = _("What each user is told by e-mail.")
    # Nothing in the server reads it.
    exclude = ("browser_notifications",)
    list_display = ("user", *PREFERENCE_FLAGS)
    list_filter = PREFERENCE_FLAGS
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")


@admin.register(UiPreferences)
class UiPreferencesAdmin(ProductAdmin):
    purpose = _("The columns that each user sees in the list of jobs.")
    list_display = ("user", "updated_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
