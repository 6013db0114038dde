"""Helpers for the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
    inline_serializer,
)
from rest_framework import serializers

M = TypeVar("M")
Handler = TypeVar("Handler", bound=Callable[..., Any])


class Representation(serializers.Serializer[M]):
    """The API's representation of a model. The fields describe it; `to_representation` writes it."""

    @classmethod
    def of(cls, item: M, **context: Any) -> dict[str, Any]:
        """One item as JSON data."""
        return cls(context=context).to_representation(item)

    @classmethod
    def of_all(cls, items: Iterable[M], **context: Any) -> list[dict[str, Any]]:
        """Many items as JSON data."""
        write = cls(context=context)
        return [write.to_representation(item) for item in items]


class OperationNames(AutoSchema):
    """Names operations by method and view: `get_jobs`, `put_job`."""

    def get_operation_id(self) -> str:
        name = type(self.view).__name__.removesuffix("View")
        return f"{self.method.lower()}_{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}"


class ErrorSerializer(serializers.Serializer[Any]):
    """The one error shape."""

    error = serializers.CharField(help_text="Short and stable: compare this.")
    message = serializers.CharField(help_text="A sentence for a person: what is wrong and what to do.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="Messages by field."
    )
    detail = serializers.CharField(required=False, help_text="On 401 and 403, for older clients: the message.")


_REASONS = {
    400: "What was sent cannot be used.",
    401: "Not logged in.",
    403: "Not allowed.",
    404: "No such thing.",
    409: "Clashes with what is there.",
    413: "The body is too large.",
    429: "Asked too often; see Retry-After.",
}


def endpoint(
    answer: Any,
    *errors: int,
    status: int = 200,
    body: Any = None,
    public: bool = False,
    media: str = "",
    query: list[OpenApiParameter] | None = None,
    **kwargs: Any,
) -> Callable[[Handler], Handler]:
    """Describe one method: answer (JSON unless `media` says otherwise), body and error statuses (401 is added unless
    public).
    """
    statuses = {400, *errors} if public else {400, 401, *errors}
    responses: dict[Any, Any] = {(status, media) if media else status: answer}
    responses.update({code: OpenApiResponse(ErrorSerializer, _REASONS[code]) for code in sorted(statuses)})
    if body is not None:
        responses.setdefault(413, OpenApiResponse(ErrorSerializer, _REASONS[413]))
    if public:
        kwargs["auth"] = []
    describe: Callable[[Handler], Handler] = extend_schema(
        request=body, responses=responses, parameters=query or [], **kwargs
    )
    return describe


def example(title: str, **value: Any) -> Callable[[Any], Any]:
    """Add an example body to a serializer."""
    show: Callable[[Any], Any] = extend_schema_serializer(examples=[OpenApiExample(title, value, request_only=True)])
    return show


def shape(name: str, /, **fields: Any) -> Any:
    """An answer with these serializer fields."""
    return inline_serializer(name, fields=fields)


def page_shape(name: str, /, **lists: Any) -> Any:
    """An answer with one page of a list, as `core.api.pagination.Page` makes it."""
    return shape(name, **lists, total=whole(), page=whole(), limit=whole(), total_pages=whole())


def param(name: str, description: str, kind: Any = OpenApiTypes.STR, **kwargs: Any) -> OpenApiParameter:
    """An optional query parameter."""
    return OpenApiParameter(name, kind, description=description, **kwargs)


RANGE_QUERY = [
    param("from", "A date (its midnight) or an ISO 8601 datetime; UTC unless it has an offset."),
    param("to", "A date (its end) or an ISO 8601 datetime, exclusive."),
    param("tz", "The IANA zone in which dates are read, such as Asia/Tokyo; UTC by default."),
]


class RangeSerializer(serializers.Serializer[Any]):
    """The resolved bounds of `from` and `to`, in UTC."""

    to = serializers.CharField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        # `from` is a Python keyword, so it cannot be declared in the class body.
        return {"from": serializers.CharField(allow_null=True), **super().get_fields()}


# Timestamps are UTC with milliseconds and Z.
def timestamp(**kwargs: Any) -> serializers.DateTimeField:
    return serializers.DateTimeField(**kwargs)


def text(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(**kwargs)


def whole(**kwargs: Any) -> serializers.IntegerField:
    return serializers.IntegerField(**kwargs)


def flag(**kwargs: Any) -> serializers.BooleanField:
    return serializers.BooleanField(**kwargs)
