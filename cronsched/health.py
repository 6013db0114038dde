"""Health of the service, and the root of the site."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import openapi
from core.api.openapi import endpoint, shape
from core.api.timestamps import utc_ms
from core.version import __version__
from scheduler.models import Leadership
from scheduler.services import scheduled_jobs_count

SERVICE = "cronsched"


class HealthView(APIView):
    """Whether the database answers, and whether a scheduler leads: `degraded` while none does, since no job fires
    then.
    """

    authentication_classes = ()
    permission_classes = ()

    @endpoint(
        shape(
            "Health",
            status=serializers.ChoiceField(["healthy", "degraded", "unhealthy"]),
            service=openapi.text(),
            version=openapi.text(),
            timestamp=openapi.timestamp(),
            api=openapi.text(),
            scheduler_running=openapi.flag(),
            scheduled_jobs_count=openapi.whole(),
            docs_url=openapi.text(),
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
            "status": "unhealthy" if not alive else "healthy" if leadership.is_live else "degraded",
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


def root(request: HttpRequest) -> HttpResponseBase:
    """The site's root: JSON for a program, a redirect to the admin for a browser."""
    if "text/html" in request.headers.get("Accept", ""):
        return HttpResponseRedirect(reverse("admin:index"))
    return JsonResponse({"message": "Cronsched API", "docs": "/docs", "redoc": "/redoc", "health": "/api/v2/health"})
