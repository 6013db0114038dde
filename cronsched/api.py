"""The service itself: health, the OpenAPI document and its pages, the site's root."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from contract import schema
from contract.schema import endpoint, shape
from contract.times import utc_ms
from contract.version import __version__
from scheduler.models import Leadership
from scheduler.services import scheduled_jobs_count

SERVICE = "cronsched"


class HealthView(APIView):
    """Whether the database answers, and whether a scheduler leads, wherever it runs."""

    authentication_classes = ()
    permission_classes = ()

    @endpoint(
        shape(
            "Health",
            status=serializers.ChoiceField(["healthy", "unhealthy"]),
            service=schema.text(),
            version=schema.text(),
            timestamp=schema.timestamp(),
            api=schema.text(),
            scheduler_running=schema.flag(),
            scheduled_jobs_count=schema.whole(),
            docs_url=schema.text(),
            database=serializers.ChoiceField(["ok", "down"]),
            heartbeat_age_seconds=serializers.FloatField(allow_null=True),
        ),
        public=True,
    )
    def get(self, request: Request) -> Response:
        try:
            leadership, jobs, alive = Leadership.current(), scheduled_jobs_count(), True
        except DatabaseError:
            leadership, jobs, alive = Leadership(), 0, False
        age = leadership.heartbeat_age
        body = {
            "status": "healthy" if alive else "unhealthy",
            "service": SERVICE,
            "version": __version__,
            "timestamp": utc_ms(timezone.now()),
            "api": "v2",
            "scheduler_running": leadership.is_live,
            "scheduled_jobs_count": jobs,
            "docs_url": "/docs",
            "database": "ok" if alive else "down",
            "heartbeat_age_seconds": None if age is None else round(age, 3),
        }
        return Response(body, 200 if alive else 503)


@lru_cache(maxsize=1)
def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3 document of `/api/v2`."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


class SchemaView(APIView):
    """The OpenAPI document."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(openapi_document())


class DocsView(SpectacularSwaggerView):
    url_name = "openapi"


class RedocView(SpectacularRedocView):
    url_name = "openapi"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document describes access tokens."""

    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class RefreshScheme(BearerScheme):  # type: ignore[no-untyped-call]
    """How the document describes refresh tokens."""

    target_class = "accounts.authentication.RefreshTokenAuthentication"
    name = "refresh"


def root(request: HttpRequest) -> HttpResponseBase:
    """The site's root: JSON for a program, the admin for a browser."""
    if "text/html" in request.headers.get("Accept", ""):
        return HttpResponseRedirect(reverse("admin:index"))
    return JsonResponse({"message": "Cronsched API", "docs": "/docs", "redoc": "/redoc", "health": "/api/v2/health"})
