"""`/echo`: a target of one's own, for the first job of an installation and for trying requests out."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

_MOST = 16 * 1024


@csrf_exempt
def echo(request: HttpRequest) -> JsonResponse:
    """200 with what was sent: method, fire key and body (JSON as such, other text up to 16 KiB)."""
    text = request.body[:_MOST].decode(errors="replace")
    received: Any
    try:
        received = json.loads(text) if text else None
    except (ValueError, RecursionError):
        received = text
    return JsonResponse(
        {
            "message": "This Cronsched received the call.",
            "method": request.method,
            "idempotency_key": request.headers.get("Idempotency-Key", ""),
            "received": received,
        }
    )
