"""Checks before any view runs."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

from core.api.errors import Invalid, TooLarge
from core.runtime import request_context, signed_addresses

log = logging.getLogger("cronsched.audit")
_UPLOADS = {"/api/v2/jobs/bulk-upload", "/admin/import/"}
# Receivers call back without a login.
_LARGEST_CALLBACK = 64 * 1024


def largest_body(path: str) -> int:
    """The largest body, in bytes, that an address takes."""
    if path.startswith(signed_addresses.CALLBACKS):
        return _LARGEST_CALLBACK
    return settings.MAX_UPLOAD_BYTES if path in _UPLOADS else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _log_refusal(request: HttpRequest) -> None:
    """Log a request that its caller may not make. The trail's table does not hold it: any user could fill it."""
    by = request_context.user()
    details = {"event": "refused", "by": by.email if by else "", "address": request_context.address()}
    log.info("refused: %s %s", request.method, signed_addresses.without_tokens(request.path), extra=details)


def body_too_large(limit: int) -> TooLarge:
    return TooLarge("Body too large", f"At most {limit // 1024} KiB can be sent. Send less at once.")


class ClientAddress:
    """Makes `REMOTE_ADDR` the client's address where the request came through `TRUSTED_PROXIES`.

    The proxies append to `X-Forwarded-For` from left to right, so the client is the rightmost address that is not one
    of theirs; what stands further left was sent by the client. Other peers' forwarding headers are dropped.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._trusted = settings.TRUSTED_PROXIES

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self._trusted:
            self._rewrite(request.META)
        return self._get_response(request)

    def _rewrite(self, meta: dict[str, Any]) -> None:
        hops = str(meta.get("HTTP_X_FORWARDED_FOR") or "").split(",")
        address = str(meta.get("REMOTE_ADDR") or "")
        if not self._is_trusted(address):
            for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"):
                meta.pop(name, None)
            return
        while hops and self._is_trusted(address) and (before := _address(hops.pop())):
            address = before
        meta["REMOTE_ADDR"] = address

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            # A Unix socket: only a proxy of this machine can connect.
            return address == ""
        found = (found.version == 6 and found.ipv4_mapped) or found
        return any(found in network for network in self._trusted)


def _address(hop: str) -> str:
    """The address of one hop, without its port; '' if it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


class Probes:
    """Health and metrics answer under every host name: container platforms and Prometheus ask by IP address. So does
    `/echo`, which the scheduler calls.
    """

    PATHS = ("/api/v2/health", "/metrics", "/echo")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info in self.PATHS:
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]
        return self._get_response(request)


class ButtonPage:
    """A page in place of an empty 405 for who opens the address of a button of the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if response.status_code != 405 or request.method != "GET" or not request.path_info.startswith("/admin/"):
            return response
        page = render(request, "405.html", status=405)
        # RFC 9110, section 15.5.6.
        page["Allow"] = response.get("Allow", "POST")
        return page


class ApiGuard:
    """Refuses bodies over the limit (413) and NUL characters in URLs (400); removes the body of answers to HEAD.

    It also records the request for the audit trail, logs what it refuses (403), and lets no cache keep answers of the
    API.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_context.set_request(request)
        try:
            response = self._refusal(request) or self._get_response(request)
            if response.status_code == 403:
                _log_refusal(request)
        finally:
            request_context.set_request(None)
        if request.path_info.startswith("/api/") and not response.has_header("Cache-Control"):
            # Tokens, addresses and metadata: no cache between may keep them.
            response["Cache-Control"] = "no-store"
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            size = len(response.content)
            response.content = b""
            response["Content-Length"] = str(size)
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = largest_body(request.path)
        if length.isdigit() and int(length) > limit:
            refusal = body_too_large(limit)
            return JsonResponse(refusal.body(), status=refusal.status)
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return JsonResponse(
                Invalid("Bad request", "An address may not contain the NUL character.").body(), status=400
            )
        return None
