"""The audit trail for programs that collect it: `/api/v2/audit`, as JSON lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsAdmin
from audit import events, listener
from audit.models import ChangeRecord
from core.api.errors import invalid_field
from core.api.openapi import endpoint, param
from core.api.payload import query_int
from core.api.timestamps import utc_ms

_MOST = 10_000
_SETTLED = dt.timedelta(minutes=1)


class AuditView(APIView):
    """The audit trail, oldest first, one JSON object a line (application/x-ndjson). Records of the last minute come
    later: one that is written by a slow transaction would be passed over by `after`.
    """

    permission_classes = (IsAdmin,)

    @endpoint(
        str,
        403,
        media="application/x-ndjson",
        query=[
            param("after", "Id of a record: the answer begins with the next one."),
            param("since", "Moment (ISO 8601 with offset): the answer begins there."),
            param("subject", "job, user, security ..."),
            param("limit", f"Records, 1 to {_MOST} (1000).", int),
        ],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        limit = query_int(request.query_params, "limit", 1000, most=_MOST)
        records = _asked(request).order_by("id")[:limit]
        return StreamingHttpResponse(_lines(records), content_type="application/x-ndjson")


def _asked(request: Request) -> QuerySet[ChangeRecord]:
    sent = request.query_params
    records = ChangeRecord.objects.filter(at__lt=timezone.now() - _SETTLED)
    if sent.get("after"):
        records = records.filter(id__gt=_read(UUID, sent["after"], "after", "the id of a record"))
    if sent.get("since"):
        since = _read(_moment, sent["since"], "since", "a moment with its offset, such as 2026-11-25T00:00:00+09:00")
        records = records.filter(at__gte=since)
    if sent.get("subject"):
        records = records.filter(subject=_read(_subject, sent["subject"], "subject", f"one of {_subjects()}"))
    return records


def _subjects() -> str:
    return ", ".join(sorted({ChangeRecord._meta.get_field("subject").default, events.SUBJECT, *listener.subjects()}))


def _subject(text: str) -> str:
    if text not in _subjects().split(", "):
        raise ValueError(text)
    return text


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found.astimezone(dt.UTC)


def _read(read: Any, text: str, name: str, expected: str) -> Any:
    try:
        return read(text)
    except (ValueError, OverflowError):
        raise invalid_field(name, f"'{name}' must be {expected}.", error="Invalid query") from None


def _lines(records: QuerySet[ChangeRecord]) -> Iterator[bytes]:
    for record in records.iterator(chunk_size=500):
        yield (
            orjson.dumps(
                {
                    "id": str(record.id),
                    "at": utc_ms(record.at),
                    "subject": record.subject,
                    "subject_id": str(record.subject_id) if record.subject_id else None,
                    "name": record.name,
                    "kind": record.kind,
                    "by": record.by_email or None,
                    "address": record.address,
                    "difference": record.difference,
                },
                default=str,
            )
            + b"\n"
        )
