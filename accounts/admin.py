"""Accounts in the admin."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold import forms as unfold_forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminPasswordWidget

from accounts import invitations, services
from accounts.auth import api_tokens
from accounts.models import ApiToken, LoginSession, Role, User, WebSession
from accounts.permissions import require_login
from accounts.second_factor import devices
from core import page_links
from core.admin import ProductAdmin
from core.api.errors import DomainError

admin.site.unregister(Group)


class UserCreationForm(forms.ModelForm[User]):
    """The form of a new account. Its holder chooses the password with a link."""

    class Meta:
        model = User
        fields = ("username", "email", "role", "admin_access")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].initial = Role.USER
        self.fields["admin_access"].initial = True

    def save(self, commit: bool = True) -> User:
        user = super().save(commit=False)
        user.set_unusable_password()
        if commit:
            user.save()
        return user


class UserChangeForm(forms.ModelForm[User]):
    """The form of an account. It keeps at least one active admin, and nobody changes their own role or status."""

    acting: ClassVar[User | None] = None
    current_password = forms.CharField(
        label=_("Your current password"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
        help_text=_("Only to change your own e-mail address."),
    )

    class Meta:
        model = User
        fields = ("username", "email", "email_confirmed", "role", "admin_access", "is_active")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.acting == self.instance and "email" in self.changed_data:
            self._reauthenticate(self.acting, data.get("current_password") or "")
        stays = data.get("role") == Role.ADMIN and data.get("is_active")
        was = User.objects.active_admins().filter(pk=self.instance.pk).exists()
        if self.acting == self.instance and not stays:
            raise ValidationError(_("Ask another admin to change your role or status."))
        if was and not stays and not User.objects.active_admins().exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("This is the last active admin: make another admin first."))
        return data

    def _reauthenticate(self, user: User, password: str) -> None:
        try:
            services.reauthenticate(user, password)
        except DomainError:
            self.add_error("current_password", _("That is not your current password."))


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ProductAdmin):  # type: ignore[type-arg, misc]
    """Accounts with their role and last login."""

    form = UserChangeForm
    add_form = UserCreationForm
    add_form_template = "admin/change_form.html"
    change_password_form = unfold_forms.AdminPasswordChangeForm
    list_display = ("username", "email", "role", "is_active", "last_login", "job_count", "created_at")
    list_filter = ("role", "is_active")
    search_fields = ("username", "email")
    ordering = ("username",)
    actions = ("remove_second_factor", "forget_single_sign_on")
    readonly_fields = ("single_sign_on_id", "last_login", "created_at", "updated_at")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "email", "current_password", "role", "admin_access", "is_active")}),
        (_("Single sign-on"), {"fields": ("email_confirmed", "single_sign_on_id")}),
        (_("Times"), {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("username", "email", "role", "admin_access")}),)
    change_form_before_template = "accounts/user_tools.html"
    purpose = _("Accounts of people and programs, with their role.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Accounts with the number of jobs that they own."""
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(_jobs=Count("jobs"))

    @admin.display(description=_("jobs"), ordering="_jobs")
    def job_count(self, user: Any) -> str:
        """The number of owned jobs, linked to the list of them."""
        url = page_links.path_of("job_list", created_by__id__exact=user.pk)
        return format_html('<a href="{}">{}</a>', url, user._jobs)

    def get_urls(self) -> list[Any]:
        invite = self.admin_site.admin_view(require_POST(self.invite))
        return [path("<uuid:pk>/invitation/", invite, name="accounts_user_invitation"), *super().get_urls()]

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        """The link with which the holder of the new account chooses a password."""
        return self._invitation(request, obj)

    def invite(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make a link with which the holder of an account chooses a new password."""
        user = get_object_or_404(User, pk=pk)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if user == request.user:
            # One's own takes the old password.
            return HttpResponseRedirect(reverse("admin:password_change"))
        return self._invitation(request, user)

    def _invitation(self, request: HttpRequest, user: User) -> HttpResponse:
        link = invitations.make_link(user, by=require_login(request))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Set-password link"),
            "account": user,
            "link": link,
            "mailed": False,
        }
        if settings.MAIL_ENABLED:
            try:
                invitations.send_link(user, link)
                context["mailed"] = True
            except OSError as exc:
                context["problem"] = _("The mail server did not take it: %(reason)s") % {"reason": type(exc).__name__}
        answer = TemplateResponse(request, "accounts/invitation.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form class with the user who fills it in."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"acting": request.user})

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """One's own account asks for the current password."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or obj.pk == request.user.pk:
            return fieldsets
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "current_password"]})
            for title, options in fieldsets
        ]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """The page that resets another account's password; one's own takes the old password."""
        if self.get_object(request, id) == request.user:
            return HttpResponseRedirect(reverse("admin:password_change"))
        return super().user_change_password(request, id, form_url)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody deletes their own account."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.pk != request.user.pk)

    @admin.action(description=_("Remove the second factor"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Remove the second factor of users who have lost their phone and backup codes."""
        for user in queryset:
            devices.remove(user)
        self.message_user(request, _("%(count)d users log in with their password alone.") % {"count": len(queryset)})

    @admin.action(description=_("Forget the single sign-on identity"), permissions=["change"])
    def forget_single_sign_on(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Unbind accounts from the provider's users, so that the next single sign-on binds them by their address."""
        count = queryset.update(single_sign_on_id=None)
        self.message_user(
            request, _("%(count)d users are bound again at their next single sign-on.") % {"count": count}
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without bulk deletion: accounts are deleted one at a time, so that the rules above apply."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


class NotedDeletionAdmin(ProductAdmin):
    """Rows that let a user in: the audit trail says who deleted them."""

    note_deletion: Callable[[Any], None]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.note_deletion(obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset.select_related("user"):
            self.note_deletion(row)
        super().delete_queryset(request, queryset)


@admin.register(LoginSession)
class LoginSessionAdmin(NotedDeletionAdmin):
    """API logins; deleting a row ends that login."""

    purpose = _("Logins of the API are listed here; delete one to end it.")
    note_deletion = staticmethod(services.note_ended)
    list_display: Any = ("user", "address", "created_at", "expires_at")
    search_fields = ("user__username", "user__email")
    list_filter = ("created_at",)
    list_select_related = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LoginSession | None = None) -> bool:
        return False


@admin.register(WebSession)
class WebSessionAdmin(LoginSessionAdmin):
    """Sessions of the admin; deleting a row ends that session."""

    purpose = _("Sessions of the admin are listed here; delete one to end it.")
    list_display = fields = readonly_fields = ("user", "address", "created_at", "seen_at", "expires_at")

    @admin.display(description=_("expires at"), ordering="expire_date")
    def expires_at(self, session: WebSession) -> dt.datetime:
        """Under the same name as those of API logins; the column is Django's."""
        return session.expire_date

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without sessions in which nobody is logged in."""
        return super().get_queryset(request).filter(user__isnull=False)  # type: ignore[no-any-return]


class ApiTokenForm(forms.ModelForm[ApiToken]):
    """The form of a new token that belongs to the user who fills it in."""

    days = forms.IntegerField(
        label=_("Days until it expires"),
        min_value=1,
        max_value=api_tokens.LONGEST_DAYS,
        initial=90,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    class Meta:
        model = ApiToken
        fields = ("name", "scope")

    acting: ClassVar[User | None] = None

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if ApiToken.objects.filter(user=self.acting, name=name).exists():
            raise ValidationError(_("You have a token of that name."))
        return name


@admin.register(ApiToken)
class ApiTokenAdmin(NotedDeletionAdmin):
    """Personal tokens: users create their own, admins see and revoke all of them."""

    purpose = _("Scripts and CI call the API with a token.")
    note_deletion = staticmethod(api_tokens.note_revoked)
    form = ApiTokenForm
    fields = ("name", "scope", "days")
    list_display = ("name", "user", "scope", "beginning", "created_at", "expires_at", "last_used_at")
    list_filter = ("scope",)
    search_fields = ("name", "user__username")
    list_select_related = ("user",)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: ApiToken | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"acting": request.user})

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Create the token and show it once."""
        data = form.cleaned_data
        user: Any = request.user
        try:
            made, raw = api_tokens.make(user, data["name"], data["scope"], data["days"])
        except DomainError as exc:
            raise ValidationError(exc.spoken) from exc
        obj.__dict__.update(made.__dict__)
        told = format_html(
            '{} <code id="new-token">{}</code> <button type="button" class="cs-button cs-small" data-copy="#new-token" '
            'data-copied="{}">{}</button>',
            _("Copy the token now, it is not shown again:"),
            raw,
            _("Copied"),
            _("Copy"),
        )
        self.message_user(request, told, messages.WARNING)
