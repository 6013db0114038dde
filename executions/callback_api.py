"""Callbacks of receivers: `/api/v2/callbacks/{token}`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import openapi
from core.api.json import body_of
from core.api.openapi import endpoint, shape
from executions.completion import reports
from executions.models import Report, Status


class CallbackBody(serializers.Serializer[Any]):
    """What a receiver tells about its work."""

    status = serializers.ChoiceField(Report.State.choices)
    message = serializers.CharField(required=False, help_text="At most 1,000 characters; the rest is cut off.")
    counts = serializers.DictField(
        child=serializers.IntegerField(min_value=0),
        required=False,
        help_text="At most 20 numbers by name, such as passed and failed.",
    )
    url = serializers.CharField(required=False, help_text="Where people read more.")


class CallbackView(APIView):
    """Tell how the work of an execution goes on. The address is in the header X-Cronsched-Callback of the call that
    began it, and is the proof of who calls.
    """

    authentication_classes = ()
    permission_classes = ()

    @endpoint(
        shape("CallbackTaken", message=openapi.text(), status=serializers.ChoiceField(Status.choices)),
        403,
        404,
        409,
        body=CallbackBody,
        public=True,
    )
    def post(self, request: Request, token: str) -> Response:
        execution = reports.take(token, body_of(request))
        return Response({"message": "Recorded", "status": execution.status})
