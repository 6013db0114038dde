"""The page behind an invitation: choose the password of an account."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _

from accounts.models import User


class SetPassword(PasswordResetConfirmView):
    """`GET` shows the form, or that the link has ended; `POST` stores the password and leads to the login."""

    template_name = "accounts/set_password.html"
    success_url = reverse_lazy("admin:index")

    def get_form(self, form_class: Any = None) -> SetPasswordForm[User]:
        form: SetPasswordForm[User] = super().get_form(form_class)
        for field in form.fields.values():
            field.widget = forms.PasswordInput(attrs={"class": "cs-input", "autocomplete": "new-password"})
        return form

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        answer = super().form_valid(form)
        messages.success(self.request, _("Your password is stored. Log in with it."))
        return answer


def page(request: HttpRequest, uidb64: str, token: str) -> Any:
    """The address contains a secret: no other site may see it, no cache may keep it."""
    answer = SetPassword.as_view()(request, uidb64=uidb64, token=token)
    answer["Referrer-Policy"] = "same-origin"
    answer["Cache-Control"] = "no-store"
    return answer
