"""GitHub's webhook: `POST /hooks/github` (GitHub, "Webhook events and payloads", "Validating webhook deliveries")."""

from __future__ import annotations

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.errors import Forbidden, invalid_field
from executions.runs import hooks


class GitHubHookView(APIView):
    """GitHub tells that a workflow run has changed. The delivery's signature is the proof of who calls; what it tells
    is asked back from GitHub, so that an old or repeated delivery changes nothing.
    """

    authentication_classes = ()
    permission_classes = ()

    # It is GitHub that calls it, so it is no part of the API's document.
    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        body = request._request.body
        if not hooks.is_signed(body, request.headers.get("X-Hub-Signature-256", "")):
            raise Forbidden(
                "Invalid signature",
                "The delivery is not signed with the webhook secret of a GitHub credential that is stored here.",
            )
        event = request.headers.get("X-GitHub-Event", "")
        if event != "workflow_run":
            return Response({"message": "pong" if event == "ping" else "Nothing to do"}, status=202)
        try:
            run_id = orjson.loads(body)["workflow_run"]["id"]
        except (ValueError, KeyError, TypeError) as exc:
            raise invalid_field(
                "workflow_run",
                "The delivery names no workflow run: choose the content type application/json on GitHub.",
            ) from exc
        known = hooks.run_has_changed(run_id)
        return Response({"message": "Noted" if known else "Nothing to do"}, status=202)
