"""The error body of the API: `{"error", "message", "fields"?, "detail"?}`."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core.api.errors import DomainError, Forbidden, Invalid, NotFound, TooLarge, TooManyRequests, Unauthorized

log = logging.getLogger("cronsched.openapi_views")
_LOGIN = "Log in and send the access token as 'Authorization: Bearer'."


def handle(exc: Exception, context: dict[str, Any]) -> Response:
    """Turn an exception of a view into a response. An unexpected one gets an id, under which its details are logged."""
    set_rollback()
    if not isinstance(exc, DomainError):
        exc = _translated(exc) or exc
    if isinstance(exc, DomainError):
        return Response(exc.body(), exc.status, headers=_headers(exc))
    if isinstance(exc, exceptions.MethodNotAllowed):
        return Response(_method_not_allowed(context["request"].method), 405, headers={"Allow": _allowed(context)})
    if isinstance(exc, OperationalError | InterfaceError):
        log.error("the database did not answer: %s", exc)
        return Response(
            {"error": "Service unavailable", "message": "The database does not answer. Try again in a moment."},
            503,
            headers={"Retry-After": "2"},
        )
    return Response(unexpected(exc), 500)


def _translated(exc: Exception) -> DomainError | None:
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return Unauthorized("Authentication required", _LOGIN)
    if isinstance(exc, exceptions.PermissionDenied | PermissionDenied):
        return Forbidden("Insufficient permissions", "Your role does not allow this.")
    if isinstance(exc, exceptions.UnsupportedMediaType):
        return Invalid("Content-Type must be application/json", "Send JSON with 'Content-Type: application/json'.")
    if isinstance(exc, exceptions.ParseError):
        return Invalid("Invalid payload", "The body cannot be read: check its encoding and Content-Type.")
    if isinstance(exc, RequestDataTooBig):
        return TooLarge("Body too large", "The form is too large. Send less at once.")
    if isinstance(exc, SuspiciousOperation):
        return Invalid("Invalid payload", "The form cannot be read: it has too many fields or files.")
    if isinstance(exc, Http404 | exceptions.NotFound):
        return NotFound("Not found", "There is nothing at this address.")
    return None


def _headers(exc: DomainError) -> dict[str, str]:
    if isinstance(exc, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(exc, TooManyRequests):
        return {"Retry-After": str(exc.retry_after)}
    return {}


def _allowed(context: dict[str, Any]) -> str:
    return ", ".join(context["view"].allowed_methods)


def _method_not_allowed(method: str) -> dict[str, str]:
    return {"error": "Method not allowed", "message": f"{method} is not possible at this address."}


def unexpected(exc: BaseException | None) -> dict[str, str]:
    """The body of a 500 response; the details are logged."""
    error_id = uuid4().hex[:12]
    log.error("error %s", error_id, exc_info=exc or True)
    message = f"Something went wrong on our side. Tell your admin the error id {error_id}."
    if settings.EXPOSE_ERROR_DETAILS and exc is not None:
        message += f" ({type(exc).__name__}: {exc})"
    return {"error": "Internal server error", "message": message, "error_id": error_id}


def _is_page(request: HttpRequest) -> bool:
    """Whether it is a browser that shows the answer to a person."""
    if request.path.startswith(("/api/", "/hooks/")):
        return False
    return request.path.startswith("/admin") or "text/html" in request.headers.get("Accept", "")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: a page for people, JSON for programs."""
    if _is_page(request):
        return defaults.page_not_found(request, exception)
    return JsonResponse(NotFound("Not found", "There is nothing at this address.").body(), status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's own 400, such as for a host that is not allowed."""
    if _is_page(request):
        return defaults.bad_request(request, exception)
    return JsonResponse(Invalid("Bad request", "The request cannot be read.").body(), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 outside a view."""
    if _is_page(request):
        return defaults.server_error(request)
    return JsonResponse(unexpected(None), status=500)
