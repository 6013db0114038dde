"""Checks before any view runs."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from core.api.errors import Invalid
from core.runtime import request_context

_UPLOADS = ("/bulk-upload", "/admin/import/")


class ApiGuard:
    """Refuses bodies over the limit (413) and NUL characters in URLs (400); removes the body of answers to HEAD.

    It also records the request for the audit trail.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_context.set_request(request)
        try:
            response = self._refusal(request) or self._get_response(request)
        finally:
            request_context.set_request(None)
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            size = len(response.content)
            response.content = b""
            response["Content-Length"] = str(size)
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = settings.MAX_UPLOAD_BYTES if request.path.endswith(_UPLOADS) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if length.isdigit() and int(length) > limit:
            body = {
                "error": "Body too large",
                "message": f"At most {limit // 1024} KiB can be sent. Send less at once.",
            }
            return JsonResponse(body, status=413)
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return JsonResponse(
                Invalid("Bad request", "An address may not contain the NUL character.").body(), status=400
            )
        return None
