"""Notifications: `/api/v2/notifications`, each user their own."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import require_login
from core.api import openapi
from core.api.openapi import RANGE_QUERY, RangeSerializer, endpoint, param, shape
from core.api.pagination import Page
from core.api.payload import query_boolean
from core.api.timestamps import DateRange, utc_ms
from notifications import inbox
from notifications.inbox import Notification
from notifications.models import EventType


class NotificationSerializer(openapi.Representation[Notification]):
    """An event in the state in which its reader has it."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    title = serializers.CharField()
    message = serializers.CharField()
    type = serializers.ChoiceField(EventType.choices)
    related_job_id = serializers.UUIDField(allow_null=True)
    related_execution_id = serializers.UUIDField(allow_null=True)
    is_read = serializers.BooleanField()
    read_at = openapi.timestamp(allow_null=True)
    created_at = openapi.timestamp()

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
            total=openapi.whole(),
            page=openapi.whole(),
            per_page=openapi.whole(),
            total_pages=openapi.whole(),
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
        events = inbox.visible(user, span, unread_only=bool(query_boolean(query, "unread_only"))).newest_first()
        page = Page.of(events, query, size_name="per_page", clamp=True)
        return Response(
            {
                "notifications": NotificationSerializer.of_all(inbox.as_seen(user, page.items)),
                **page.body("per_page"),
                "range": span.body(),
            }
        )


class UnreadCountView(APIView):
    """The number of unread notifications of the caller."""

    @endpoint(shape("UnreadCount", unread_count=openapi.whole(), range=RangeSerializer()), query=RANGE_QUERY)
    def get(self, request: Request) -> Response:
        span = DateRange.from_query(request.query_params)
        count = inbox.visible(require_login(request), span, unread_only=True).count()
        return Response({"unread_count": count, "range": span.body()})


class ReadView(APIView):
    """Mark one as read."""

    @endpoint(shape("NotificationRead", message=openapi.text(), notification=NotificationSerializer()), 403, 404)
    def put(self, request: Request, notification_id: str) -> Response:
        seen = inbox.mark_read(notification_id, by=require_login(request))
        return Response({"message": "Notification marked as read", "notification": NotificationSerializer.of(seen)})


class ReadAllView(APIView):
    """Mark all as read."""

    @endpoint(shape("NotificationsRead", message=openapi.text(), updated_count=openapi.whole()))
    def put(self, request: Request) -> Response:
        count = inbox.mark_all_read(by=require_login(request))
        return Response({"message": "All notifications marked as read", "updated_count": count})


class DeleteReadView(APIView):
    """Delete read notifications."""

    @endpoint(shape("NotificationsDeleted", deleted_count=openapi.whole()), query=RANGE_QUERY)
    def delete(self, request: Request) -> Response:
        span = DateRange.from_query(request.query_params)
        return Response({"deleted_count": inbox.delete_read(span, by=require_login(request))})


class NotificationView(APIView):
    """Delete one."""

    @endpoint(shape("NotificationDeleted", message=openapi.text()), 403, 404)
    def delete(self, request: Request, notification_id: str) -> Response:
        inbox.delete_one(notification_id, by=require_login(request))
        return Response({"message": "Notification deleted successfully"})
