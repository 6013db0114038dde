"""Business calendars: `/api/v2/calendars`. Everybody reads them, admins change them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ReadOrAdmin
from calendars.business_days import days_of
from calendars.models import Calendar
from core.api import openapi, payload
from core.api.json import body_of
from core.api.openapi import endpoint, param, shape
from core.api.timestamps import local_iso, utc_ms
from jobs import calendars
from jobs.models import today


class CalendarDaySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    is_open = serializers.BooleanField(default=False)

    def get_fields(self) -> dict[str, Any]:
        # Declared here, because a serializer has an attribute `label`.
        return {
            **super().get_fields(),
            "label": serializers.CharField(required=False, allow_blank=True, max_length=100),
        }


class CalendarSerializer(openapi.Representation[Calendar]):
    """A calendar in answers."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    weekend_days = serializers.ListField(child=serializers.IntegerField(), help_text="1 is Monday, 7 is Sunday.")
    country = serializers.CharField(allow_null=True, help_text="Whose national holidays are closed (ISO 3166-1).")
    time_zone = serializers.CharField(
        allow_null=True, help_text="In which its days begin, for files with times; null: the installation's (IANA)."
    )
    version = serializers.IntegerField(help_text="Raised by every change.")
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()
    days = serializers.ListField(child=CalendarDaySerializer(), help_text="The listed days.")

    def to_representation(self, calendar: Calendar) -> dict[str, Any]:
        return {
            "id": str(calendar.id),
            "slug": calendar.slug,
            "name": calendar.name,
            "weekend_days": calendar.weekend_days,
            "country": calendar.country or None,
            "time_zone": calendar.time_zone or None,
            "version": calendar.version,
            "created_at": utc_ms(calendar.created_at),
            "updated_at": utc_ms(calendar.updated_at),
            "days": [
                {"date": day.date.isoformat(), "is_open": day.is_open, "label": day.label}
                for day in calendar.days.all()
            ],
        }


class CalendarChanges(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    slug = serializers.CharField(max_length=100, required=False)
    weekend_days = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=7), required=False)
    country = serializers.CharField(max_length=2, required=False, allow_blank=True)
    time_zone = serializers.CharField(max_length=64, required=False, allow_blank=True, allow_null=True)
    days = serializers.ListField(
        child=CalendarDaySerializer(), required=False, help_text="Replaces the listed days; also as lines of text."
    )


@openapi.example(
    "An office in Tokyo",
    name="Tokyo office",
    country="JP",
    days=[{"date": "2026-12-31", "is_open": False, "label": "年末年始"}],
)
class CalendarBody(CalendarChanges):
    name = serializers.CharField(max_length=100)


_MOVED = serializers.ListField(child=serializers.DictField(), help_text="The first 200: job_id, job, before, after.")
_EFFECT = shape(
    "CalendarEffect", jobs=openapi.whole(), moved_count=openapi.whole(), moved=_MOVED,
    never_fire=serializers.ListField(child=serializers.CharField()),
)  # fmt: skip
_ANSWER = {"message": openapi.text(), "calendar": CalendarSerializer()}


class CalendarsView(APIView):
    """Business calendars."""

    permission_classes = (ReadOrAdmin,)

    @endpoint(shape("CalendarList", calendars=CalendarSerializer(many=True)))
    def get(self, request: Request) -> Response:
        return Response({"calendars": CalendarSerializer.of_all(Calendar.objects.prefetch_related("days"))})

    @endpoint(shape("CalendarAnswer", **_ANSWER), 403, 409, status=201, body=CalendarBody)
    def post(self, request: Request) -> Response:
        calendar = calendars.create(body_of(request))
        return Response(
            {"message": "Calendar created", "calendar": CalendarSerializer.of(calendar)}, status.HTTP_201_CREATED
        )


class CalendarView(APIView):
    """One calendar, by its slug or id."""

    permission_classes = (ReadOrAdmin,)

    @endpoint(shape("CalendarOne", calendar=CalendarSerializer()), 404)
    def get(self, request: Request, name: str) -> Response:
        return Response({"calendar": CalendarSerializer.of(calendars.get_calendar(name))})

    @endpoint(
        shape("CalendarUpdated", **_ANSWER, jobs_updated=openapi.whole()),
        403, 404, 409,
        body=CalendarChanges,
        query=[param("dry_run", "1: answer what the change would do (CalendarEffect), and write nothing.")],
    )  # fmt: skip
    def put(self, request: Request, name: str) -> Response:
        if payload.query_flag(request.query_params, "dry_run"):
            return Response(_effect(calendars.effect(calendars.get_calendar(name), body_of(request))))
        calendar, jobs_updated = calendars.update(name, body_of(request))
        return Response(
            {
                "message": "Calendar updated",
                "calendar": CalendarSerializer.of(calendar),
                "jobs_updated": jobs_updated,
            }
        )

    @endpoint(shape("CalendarDeleted", message=openapi.text()), 403, 404, 409)
    def delete(self, request: Request, name: str) -> Response:
        calendars.delete(name)
        return Response({"message": "Calendar deleted"})


class CalendarYearView(APIView):
    """The closed days of a year."""

    permission_classes = (ReadOrAdmin,)

    @endpoint(
        shape(
            "CalendarYear", year=openapi.whole(), provisional=openapi.flag(),
            closed=serializers.ListField(child=serializers.DictField(), help_text="date and reason of each."),
        ),
        404,
        query=[param("year", "The year (this one).", int)],
    )  # fmt: skip
    def get(self, request: Request, name: str) -> Response:
        calendar = calendars.get_calendar(name).business_days()
        year = payload.query_int(request.query_params, "year", today().year, least=1990, most=2200)
        days = [day for month in range(1, 13) for day in days_of(year, month)]
        return Response(
            {
                "year": year,
                "provisional": calendar.is_provisional(days[0]),
                "closed": [
                    {"date": day.isoformat(), "reason": reason}
                    for day in days
                    if (reason := calendar.closed_because(day))
                ],
            }
        )


def _effect(found: calendars.Effect) -> dict[str, Any]:
    return {
        "jobs": found.jobs,
        "moved_count": found.changes,
        "moved": [
            {
                "job_id": str(one.job.pk),
                "job": one.job.name,
                "before": local_iso(one.before, one.job.zone),
                "after": local_iso(one.after, one.job.zone),
            }
            for one in found.moved
        ],
        "never_fire": found.broken,
    }
