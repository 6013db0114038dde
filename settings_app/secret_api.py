"""Secrets (`/api/v2/secrets`) and webhook credentials (`/api/v2/webhook-credentials`), for admins. Their values are
write-only.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdmin, NotByApiToken
from core.api import openapi
from core.api.json import body_of
from core.api.openapi import endpoint, shape
from core.api.timestamps import utc_ms
from settings_app import secret_services
from settings_app.models import CredentialRights, Secret, SentSecret, WebhookCredential


class SentSecretSerializer(openapi.Representation[SentSecret]):
    """What a secret and a credential have in common."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    allowed_hosts = serializers.ListField(child=serializers.CharField())
    teams = serializers.ListField(child=serializers.CharField(), help_text="Slugs; empty for all.")
    usable_by = serializers.ChoiceField(CredentialRights.Roles.choices)
    rotated_at = openapi.timestamp(allow_null=True)
    last_used_at = openapi.timestamp(allow_null=True)
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()

    def to_representation(self, row: Any) -> dict[str, Any]:
        return {
            "id": str(row.id),
            "name": row.name,
            "allowed_hosts": row.allowed_hosts.split(),
            "teams": sorted(team.slug for team in row.teams.all()),
            "usable_by": row.usable_by,
            "rotated_at": utc_ms(row.rotated_at),
            "last_used_at": utc_ms(row.last_used_at),
            "created_at": utc_ms(row.created_at),
            "updated_at": utc_ms(row.updated_at),
        }


class SecretSerializer(SentSecretSerializer):
    """A secret without its value."""


_PLAIN = ("kind", "username", "header_name", "token_url", "scope", "audience")


class WebhookCredentialSerializer(SentSecretSerializer):
    """A webhook credential without its secrets."""

    kind = serializers.ChoiceField(WebhookCredential.Kind.choices)
    username = serializers.CharField(allow_null=True, help_text="Of OAuth 2: the client id.")
    header_name = serializers.CharField(allow_null=True)
    token_url = serializers.CharField(allow_null=True)
    scope = serializers.CharField(allow_null=True)
    audience = serializers.CharField(allow_null=True)
    client_certificate = serializers.CharField(allow_null=True)
    ca_certificates = serializers.CharField(allow_null=True)

    def to_representation(self, row: Any) -> dict[str, Any]:
        names = (*_PLAIN, "client_certificate", "ca_certificates")
        return {**super().to_representation(row), **{name: getattr(row, name) or None for name in names}}


class SentSecretChanges(serializers.Serializer[Any]):
    """What a secret and a credential have in common."""

    name = serializers.CharField(max_length=100, required=False)
    allowed_hosts = serializers.ListField(child=serializers.CharField(), required=False)
    teams = serializers.ListField(child=serializers.CharField(), required=False, help_text="Slugs; empty for all.")
    usable_by = serializers.ChoiceField(CredentialRights.Roles.choices, required=False)


class SecretChanges(SentSecretChanges):
    value = serializers.CharField(required=False, help_text="At least 8 characters. Never answered.")


class WebhookCredentialChanges(SentSecretChanges):
    kind = serializers.ChoiceField(WebhookCredential.Kind.choices, required=False)
    username = serializers.CharField(max_length=255, required=False, help_text="Of OAuth 2: the client id.")
    header_name = serializers.CharField(max_length=100, required=False)
    secret = serializers.CharField(required=False, help_text="Password, token, key or signing secret. Never answered.")
    signs_with_previous = serializers.BooleanField(
        required=False, help_text="Sign with the previous secret as well, while receivers change over."
    )
    token_url = serializers.CharField(max_length=2048, required=False)
    scope = serializers.CharField(max_length=500, required=False)
    audience = serializers.CharField(max_length=500, required=False)
    client_certificate = serializers.CharField(required=False, help_text="PEM, with its chain.")
    client_key = serializers.CharField(required=False, help_text="PEM, without a passphrase. Never answered.")
    ca_certificates = serializers.CharField(required=False, help_text="PEM.")


class _List(APIView):
    permission_classes = (IsAdmin, NotByApiToken)
    model: ClassVar[Any]
    shown: ClassVar[Any]
    key: ClassVar[str]

    def _all(self) -> dict[str, Any]:
        return {f"{self.key}s": self.shown.of_all(self.model.objects.prefetch_related("teams"))}

    def _create(self, request: Request) -> Response:
        row = secret_services.save(self.model, body_of(request))
        label = self.key.replace("_", " ").capitalize()
        return Response({"message": f"{label} created", self.key: self.shown.of(row)}, status.HTTP_201_CREATED)


class _One(APIView):
    permission_classes = (IsAdmin, NotByApiToken)
    model: ClassVar[Any]
    shown: ClassVar[Any]
    key: ClassVar[str]

    def _show(self, name: str) -> dict[str, Any]:
        return {self.key: self.shown.of(secret_services.get(self.model, name))}

    def _change(self, request: Request, name: str) -> dict[str, Any]:
        row = secret_services.save(self.model, body_of(request), secret_services.get(self.model, name))
        label = self.key.replace("_", " ").capitalize()
        return {"message": f"{label} updated", self.key: self.shown.of(row)}

    def _delete(self, name: str) -> dict[str, Any]:
        secret_services.delete(secret_services.get(self.model, name))
        return {"message": f"{self.key.replace('_', ' ').capitalize()} deleted"}


class SecretsView(_List):
    """Secrets, without their values."""

    model, shown, key = Secret, SecretSerializer, "secret"

    @endpoint(shape("SecretList", secrets=SecretSerializer(many=True)), 403)
    def get(self, request: Request) -> Response:
        return Response(self._all())

    @endpoint(
        shape("SecretCreated", message=openapi.text(), secret=SecretSerializer()), 403, status=201, body=SecretChanges
    )
    def post(self, request: Request) -> Response:
        return self._create(request)


class SecretView(_One):
    """One secret, by its name or id."""

    model, shown, key = Secret, SecretSerializer, "secret"

    @endpoint(shape("SecretOne", secret=SecretSerializer()), 403, 404)
    def get(self, request: Request, name: str) -> Response:
        return Response(self._show(name))

    @endpoint(shape("SecretUpdated", message=openapi.text(), secret=SecretSerializer()), 403, 404, body=SecretChanges)
    def put(self, request: Request, name: str) -> Response:
        return Response(self._change(request, name))

    @endpoint(shape("SecretDeleted", message=openapi.text()), 403, 404, 409)
    def delete(self, request: Request, name: str) -> Response:
        return Response(self._delete(name))


class WebhookCredentialsView(_List):
    """Webhook credentials, without their secrets."""

    model, shown, key = WebhookCredential, WebhookCredentialSerializer, "webhook_credential"

    @endpoint(shape("WebhookCredentialList", webhook_credentials=WebhookCredentialSerializer(many=True)), 403)
    def get(self, request: Request) -> Response:
        return Response(self._all())

    @endpoint(
        shape("WebhookCredentialCreated", message=openapi.text(), webhook_credential=WebhookCredentialSerializer()),
        403,
        status=201,
        body=WebhookCredentialChanges,
    )
    def post(self, request: Request) -> Response:
        return self._create(request)


class WebhookCredentialView(_One):
    """One webhook credential, by its name or id."""

    model, shown, key = WebhookCredential, WebhookCredentialSerializer, "webhook_credential"

    @endpoint(shape("WebhookCredentialOne", webhook_credential=WebhookCredentialSerializer()), 403, 404)
    def get(self, request: Request, name: str) -> Response:
        return Response(self._show(name))

    @endpoint(
        shape("WebhookCredentialUpdated", message=openapi.text(), webhook_credential=WebhookCredentialSerializer()),
        403,
        404,
        body=WebhookCredentialChanges,
    )
    def put(self, request: Request, name: str) -> Response:
        return Response(self._change(request, name))

    @endpoint(shape("WebhookCredentialDeleted", message=openapi.text()), 403, 404, 409)
    def delete(self, request: Request, name: str) -> Response:
        return Response(self._delete(name))
