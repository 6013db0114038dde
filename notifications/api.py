"""Notifications: `/api/v2/notifications`, each user their own."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import require_login
from contract import schema
from contract.pages import Page
from contract.payload import query_flag
from contract.schema import RANGE_QUERY, RangeSerializer, endpoint, param, shape
from contract.times import DateRange, utc_ms
from notifications import services
from notifications.models import EventType
from notifications.services import Notification


class NotificationSerializer(schema.Representation[Notification]):
    """An event as its reader sees it."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    title = serializers.CharField()
    message = serializers.CharField()
    type = serializers.ChoiceField(EventType.choices)
    related_job_id = serializers.UUIDField(allow_null=True)
    related_execution_id = serializers.UUIDField(allow_null=True)
    is_read = serializers.BooleanField()
    read_at = schema.timestamp(allow_null=True)
    created_at = schema.timestamp()

    def to_representation(self, seen: Notification) -> dict[str, Any]:
        return {
            "id": str(seen.event.id),
            "user_id": str(seen.user_id),
            "title": seen.event.title,
            "message": seen.event.message,
            "type": seen.event.type,
            "related_job_id": str(seen.job_id) if seen.job_id else None,
            "related_execution_id": str(seen.execution_id) if seen.execution_id else None,
            "is_read": seen.read_at is not None,
            "read_at": utc_ms(seen.read_at),
            "created_at": utc_ms(seen.event.created_at),
        }


class NotificationsView(APIView):
    """The caller's notifications, newest first."""

    @endpoint(
        shape(
            "NotificationPage",
            notifications=NotificationSerializer(many=True),
            total=schema.whole(),
            page=schema.whole(),
            per_page=schema.whole(),
            total_pages=schema.whole(),
            range=RangeSerializer(),
        ),
        query=[
            param("page", "Page number (1).", int),
            param("per_page", "How many a page (20); above 100 means 100.", int),
            param("unread_only", "true for those not read yet."),
            *RANGE_QUERY,
        ],
    )
    def get(self, request: Request) -> Response:
        user, query = require_login(request), request.query_params
        span = DateRange.from_query(query)
        events = services.visible(user, span, unread_only=query_flag(query, "unread_only")).newest_first()
        page = Page.of(events, query, size_name="per_page", clamp=True)
        return Response(
            {
                "notifications": NotificationSerializer.of_all(services.as_seen(user, page.items)),
                **page.body("per_page"),
                "range": span.body(),
            }
        )


class UnreadCountView(APIView):
    """How many the caller has not read."""

    @endpoint(shape("UnreadCount", unread_count=schema.whole(), range=RangeSerializer()), query=RANGE_QUERY)
    def get(self, request: Request) -> Response:
        span = DateRange.from_query(request.query_params)
        count = services.visible(require_login(request), span, unread_only=True).count()
        return Response({"unread_count": count, "range": span.body()})


class ReadView(APIView):
    """Mark one as read."""

    @endpoint(shape("NotificationRead", message=schema.text(), notification=NotificationSerializer()), 403, 404)
    def put(self, request: Request, notification_id: str) -> Response:
        seen = services.mark_read(notification_id, by=require_login(request))
        return Response({"message": "Notification marked as read", "notification": NotificationSerializer.of(seen)})


class ReadAllView(APIView):
    """Mark all as read."""

    @endpoint(shape("NotificationsRead", message=schema.text(), updated_count=schema.whole()))
    def put(self, request: Request) -> Response:
        count = services.mark_all_read(by=require_login(request))
        return Response({"message": "All notifications marked as read", "updated_count": count})


class DeleteReadView(APIView):
    """Delete those that are read."""

    @endpoint(shape("NotificationsDeleted", deleted_count=schema.whole()), query=RANGE_QUERY)
    def delete(self, request: Request) -> Response:
        span = DateRange.from_query(request.query_params)
        return Response({"deleted_count": services.delete_read(span, by=require_login(request))})


class NotificationView(APIView):
    """Delete one."""

    @endpoint(shape("NotificationDeleted", message=schema.text()), 403, 404)
    def delete(self, request: Request, notification_id: str) -> Response:
        services.delete_one(notification_id, by=require_login(request))
        return Response({"message": "Notification deleted successfully"})
