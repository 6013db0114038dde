"""The OpenAPI document and its pages (Swagger UI, ReDoc)."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

_lock = threading.Lock()


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3 document of `/api/v2`."""
    # The generator cannot run in two threads at a time.
    with _lock:
        return _generated()


@lru_cache(maxsize=1)
def _generated() -> dict[str, Any]:
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
    """The security scheme of access tokens."""

    target_class = "accounts.auth.authentication.AccessTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class RefreshScheme(BearerScheme):  # type: ignore[no-untyped-call]
    """The security scheme of refresh tokens."""

    target_class = "accounts.auth.authentication.RefreshTokenAuthentication"
    name = "refresh"
