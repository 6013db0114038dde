"""The forms of settings that hold secrets. A secret is not shown again; an empty field keeps the stored one."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from core.api.errors import DomainError
from core.headers import is_ours
from settings_app import credential_rights, sent_secrets, services
from settings_app.models import GitHubCredential, Secret, SlackSettings, WebhookCredential

RIGHTS = ("usable_by", "repositories", "teams")
BUDGET = ("at_once", "per_minute", "hold_limit_seconds")
# GitHub recommends a secret with high entropy ("Validating webhook deliveries").
_SHORTEST_WEBHOOK_SECRET = 16
SENT_RIGHTS = ("allowed_hosts", "teams", "usable_by")
# Shorter texts would be found by chance where answers are masked.
_SHORTEST_SECRET = 8
_SIGNING_BYTES = (24, 64)


class NewSecretField(forms.CharField):
    """A secret that takes the place of the stored one; left empty, it keeps that."""

    widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


class SlackSettingsForm(forms.ModelForm[SlackSettings]):
    """The URL is not shown again; an empty field keeps the stored one."""

    new_webhook_url = NewSecretField(
        label=_("Webhook URL"),
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


class RightsForm(forms.ModelForm[Any]):
    """The rights of a token, its budget, and the secret of the webhook that tells of its runs."""

    new_webhook_secret = NewSecretField(
        label=_("Secret of GitHub's webhook"),
        help_text=_(
            "For a webhook of GitHub to /hooks/github with the event 'Workflow runs', by which the ends of runs are "
            "known at once. At least 16 characters; leave it empty to keep the stored one."
        ),
    )

    def clean_new_webhook_secret(self) -> str:
        secret: str = self.cleaned_data["new_webhook_secret"].strip()
        if secret and len(secret) < _SHORTEST_WEBHOOK_SECRET:
            raise ValidationError(_("Use at least %(count)s characters.") % {"count": _SHORTEST_WEBHOOK_SECRET})
        return secret

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("new_webhook_secret"):
            self.instance.webhook_secret = data["new_webhook_secret"]
        return data

    def clean_repositories(self) -> str:
        try:
            return credential_rights.cleaned(self.cleaned_data["repositories"])
        except DomainError as exc:
            raise ValidationError(exc.spoken) from exc


# The fields of each kind, which the script shows.
_OF_GITHUB = {"token": ("new_token",), "app": ("app_id", "installation_id", "new_private_key")}


class GitHubCredentialForm(RightsForm, forms.ModelForm[GitHubCredential]):
    """Secrets are not shown again; an empty field keeps the stored one."""

    new_token = NewSecretField(
        label=_("Token"),
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
        fields = ("name", "kind", "app_id", "installation_id", *RIGHTS, *BUDGET)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].widget.attrs["data-shows"] = json.dumps(_OF_GITHUB)

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


class SentSecretForm(forms.ModelForm[Any]):
    """The rights of a secret that is sent."""

    def clean_allowed_hosts(self) -> str:
        try:
            return sent_secrets.cleaned_hosts(self.cleaned_data["allowed_hosts"])
        except DomainError as exc:
            raise ValidationError(exc.spoken) from exc


class SecretForm(SentSecretForm, forms.ModelForm[Secret]):
    """The value is not shown again; an empty field keeps the stored one."""

    new_value = NewSecretField(
        label=_("Value"),
        help_text=_(
            "At least 8 characters. Stored encrypted and not shown again; leave it empty to keep the one that is "
            "stored."
        ),
    )

    class Meta:
        model = Secret
        fields = ("name", *SENT_RIGHTS)

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        if not value and self.instance._state.adding:
            raise ValidationError(_("Paste the value."))
        if value and len(value) < _SHORTEST_SECRET:
            raise ValidationError(_("The value is too short: it could not be told from other text when it is masked."))
        return value

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("new_value"):
            self.instance.value, self.instance.rotated_at = data["new_value"], timezone.now()
        return data


# The fields that each kind of webhook credential has.
_OF_KIND = {
    "basic": ("username", "new_secret"),
    "bearer": ("new_secret",),
    "header": ("header_name", "new_secret"),
    "oauth2": ("username", "new_secret", "token_url", "scope", "audience"),
    "hmac": ("new_secret", "signs_with_previous"),
    "certificate": (),
}


class WebhookCredentialForm(SentSecretForm, forms.ModelForm[WebhookCredential]):
    """Secrets are not shown again; an empty field keeps the stored one."""

    new_secret = NewSecretField(
        label=_("Password, token, key or secret"),
        help_text=_(
            "Stored encrypted and not shown again; leave it empty to keep it. A signing secret is whsec_ and 24 to 64 "
            "bytes in base64."
        ),
    )
    signs_with_previous = forms.BooleanField(
        label=_("Sign with the previous secret as well"),
        required=False,
        help_text=_("While receivers change over to a new one."),
    )
    new_client_key = forms.CharField(
        label=_("Key of the client certificate (PEM)"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Without a passphrase. Stored encrypted and not shown again; leave it empty to keep it."),
    )

    class Meta:
        model = WebhookCredential
        fields = (
            "name",
            "kind",
            "username",
            "header_name",
            "token_url",
            "scope",
            "audience",
            "client_certificate",
            "ca_certificates",
            *SENT_RIGHTS,
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            # The script shows the fields of the chosen kind.
            self.fields["kind"].widget.attrs["data-shows"] = json.dumps(_OF_KIND)
        if "signs_with_previous" in self.fields and not self.instance._state.adding:
            stored = WebhookCredential.objects.filter(pk=self.instance.pk).exclude(previous_secret="")
            self.initial["signs_with_previous"] = stored.exists()

    def clean_new_secret(self) -> str:
        secret: str = self.cleaned_data["new_secret"].strip()
        return secret

    def clean_header_name(self) -> str:
        name: str = self.cleaned_data["header_name"].strip()
        if name and not all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
            raise ValidationError(_("Use letters, digits and '-'."))
        if is_ours(name):
            raise ValidationError(_("Cronsched writes this header itself: choose another one."))
        return name

    def clean_token_url(self) -> str:
        url: str = self.cleaned_data["token_url"].strip()
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValidationError(_("Write a URL that begins with https:// and names a host."))
        return url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        one, kind = self.instance, data["kind"]
        for name in ("username", "header_name", "token_url", "scope", "audience"):
            if name not in _OF_KIND[kind]:
                data[name] = ""
        self._set_secrets(data)
        if not one.secret and kind not in {WebhookCredential.Kind.CERTIFICATE, WebhookCredential.Kind.BASIC}:
            raise ValidationError({"new_secret": _("Paste the secret.")})
        if one.secret:
            _check_secret(kind, one.secret)
        for name in _OF_KIND[kind]:
            if name in {"username", "header_name", "token_url"} and not data[name]:
                raise ValidationError({name: _("This kind needs it.")})
        self._set_certificates(data)
        return data

    def _set_secrets(self, data: dict[str, Any]) -> None:
        one, new = self.instance, data.get("new_secret", "")
        stored = WebhookCredential.objects.filter(pk=one.pk).defer(None).first()
        old, former = (stored.secret, stored.previous_secret) if stored else ("", "")
        is_signing = data["kind"] == WebhookCredential.Kind.HMAC
        one.secret, one.previous_secret = new or old, ""
        if data["kind"] == WebhookCredential.Kind.CERTIFICATE:
            one.secret = ""
        if is_signing and data.get("signs_with_previous"):
            one.previous_secret = (old if stored and stored.kind == data["kind"] else "") if new else former
        if new:
            one.rotated_at = timezone.now()

    def _set_certificates(self, data: dict[str, Any]) -> None:
        one, new = self.instance, data.get("new_client_key", "").strip()
        stored = WebhookCredential.objects.filter(pk=one.pk).defer(None).first()
        one.client_key = (new or (stored.client_key if stored else "")) if data["client_certificate"] else ""
        if data["kind"] == WebhookCredential.Kind.CERTIFICATE and not data["client_certificate"]:
            raise ValidationError({"client_certificate": _("Paste the certificate.")})
        if data["client_certificate"]:
            _check_pair(data["client_certificate"], one.client_key)
        if data["ca_certificates"]:
            _certificates(data["ca_certificates"], "ca_certificates")


def _check_secret(kind: str, secret: str) -> None:
    """Raise `ValidationError` for a secret that this kind cannot send; the stored one when the kind was changed."""
    try:
        if kind == WebhookCredential.Kind.HMAC:
            _check_signing_secret(secret)
        elif kind != WebhookCredential.Kind.BASIC:
            if not (secret.isascii() and secret.isprintable()):
                raise ValidationError(_("It holds characters that no header can: copy it again."))
            if len(secret) < _SHORTEST_SECRET:
                raise ValidationError(
                    _("The value is too short: it could not be told from other text when it is masked.")
                )
    except ValidationError as exc:
        raise ValidationError({"new_secret": exc.messages}) from exc


def _check_signing_secret(secret: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not _SIGNING_BYTES[0] <= size <= _SIGNING_BYTES[1]:
        raise ValidationError(
            _("A signing secret is whsec_ and 24 to 64 bytes in base64, such as openssl rand -base64 32.")
        )


def _certificates(text: str, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValidationError({field: _("These are no certificates in PEM.")}) from None


def _check_pair(certificate: str, key: str) -> None:
    first = _certificates(certificate, "client_certificate")[0]
    if not key:
        raise ValidationError({"new_client_key": _("Paste the key of the certificate.")})
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        raise ValidationError({"new_client_key": _("This is no key in PEM without a passphrase.")}) from None
    shape = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*shape) != first.public_key().public_bytes(*shape):
        raise ValidationError({"new_client_key": _("The key does not belong to the certificate.")})
