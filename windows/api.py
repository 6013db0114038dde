"""Windows and pauses: `/api/v2/windows`. Everybody reads them, admins open and end them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrAdmin, require_login
from core.api import openapi, payload
from core.api.json import body_of
from core.api.openapi import endpoint, param, shape
from core.api.timestamps import utc_ms
from windows import services
from windows.models import Effect, Window

_TEXTS = serializers.ListField(child=serializers.CharField(), required=False)


class WindowSerializer(openapi.Representation[Window]):
    """A window in answers."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    effect = serializers.ChoiceField(Effect.choices)
    starts_at = openapi.timestamp()
    ends_at = openapi.timestamp(allow_null=True)
    cron_expression = serializers.CharField(allow_null=True, help_text="Open for `minutes` after each of its times.")
    minutes = serializers.IntegerField()
    is_for_all = serializers.BooleanField()
    teams = serializers.ListField(child=serializers.CharField(), help_text="Slugs.")
    categories = serializers.ListField(child=serializers.CharField(), help_text="Slugs.")
    jobs = serializers.ListField(child=serializers.UUIDField())
    repositories = serializers.ListField(child=serializers.CharField(), help_text="owner/repository")
    hosts = serializers.ListField(child=serializers.CharField())
    is_open = serializers.BooleanField(help_text="Whether fire times of now are inside.")
    made_by = serializers.CharField(allow_null=True)

    def to_representation(self, window: Window) -> dict[str, Any]:
        return {
            "id": str(window.id),
            "name": window.name,
            "reason": window.reason or None,
            "effect": window.effect,
            "starts_at": utc_ms(window.starts_at),
            "ends_at": utc_ms(window.ends_at),
            "cron_expression": window.cron_expression or None,
            "minutes": window.minutes,
            "is_for_all": window.is_for_all,
            "teams": [team.slug for team in window.teams.all()],
            "categories": [category.slug for category in window.categories.all()],
            "jobs": [str(job.pk) for job in window.jobs.all()],
            "repositories": window.repositories,
            "hosts": window.hosts,
            "is_open": window.period_at(timezone.now()) is not None,
            "made_by": window.made_by.email if window.made_by else None,
        }


class WindowChanges(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)
    effect = serializers.ChoiceField(Effect.choices, required=False)
    starts_at = serializers.DateTimeField(required=False)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    cron_expression = serializers.CharField(max_length=255, required=False, allow_blank=True)
    minutes = serializers.IntegerField(required=False, min_value=1, max_value=10_080)
    is_for_all = serializers.BooleanField(required=False)
    teams = _TEXTS
    categories = _TEXTS
    jobs = _TEXTS
    repositories = _TEXTS
    hosts = _TEXTS


@openapi.example(
    "A release of one team",
    name="Release 4.2",
    reason="Deploy",
    teams=["payments"],
    ends_at="2026-12-01T18:00:00+09:00",
)
class WindowBody(WindowChanges):
    name = serializers.CharField(max_length=100)


_ANSWER = {"message": openapi.text(), "window": WindowSerializer()}


class WindowsView(APIView):
    """Windows."""

    permission_classes = (ReadOrAdmin,)

    @endpoint(
        shape("WindowList", windows=WindowSerializer(many=True)),
        query=[param("include_past", "Also the windows that are over.")],
    )
    def get(self, request: Request) -> Response:
        windows = Window.objects.prefetch_related("teams", "categories", "jobs").select_related("made_by")
        if not payload.query_flag(request.query_params, "include_past"):
            windows = windows.not_over(timezone.now())
        return Response({"windows": WindowSerializer.of_all(windows)})

    @endpoint(shape("WindowAnswer", **_ANSWER), 403, status=201, body=WindowBody)
    def post(self, request: Request) -> Response:
        window = services.create(body_of(request), by=require_login(request))
        return Response({"message": "Window opened", "window": WindowSerializer.of(window)}, status.HTTP_201_CREATED)


class WindowView(APIView):
    """One window."""

    permission_classes = (ReadOrAdmin,)

    @endpoint(shape("WindowOne", window=WindowSerializer()), 404)
    def get(self, request: Request, window_id: str) -> Response:
        return Response({"window": WindowSerializer.of(services.get_window(window_id))})

    @endpoint(shape("WindowUpdated", **_ANSWER), 403, 404, body=WindowChanges)
    def put(self, request: Request, window_id: str) -> Response:
        window = services.update(window_id, body_of(request))
        return Response({"message": "Window updated", "window": WindowSerializer.of(window)})

    @endpoint(shape("WindowEnded", message=openapi.text()), 403, 404, 409)
    def delete(self, request: Request, window_id: str) -> Response:
        """End it now; what it held runs."""
        services.end(services.get_window(window_id), by=require_login(request))
        return Response({"message": "Window ended"})
