"""Domain errors, reported alike by API, admin and commands."""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """A refused request that has changed nothing.

    `error` is the short, stable name that API clients compare. `message` tells a person what is wrong and what to do.
    `fields` maps field names to messages. `extra` keys are added to the API's answer. `status` is the HTTP status.
    """

    status = 400

    def __init__(self, error: str, message: str, *, fields: dict[str, list[str]] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.fields = fields or {}
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The API's answer."""
        body: dict[str, Any] = {"error": self.error, "message": self.message, **self.extra}
        if self.fields:
            body["fields"] = self.fields
        return body


class Invalid(DomainError):
    """The request cannot be used: 400."""


class Forbidden(DomainError):
    """The caller may not do this: 403. Older clients read `detail`."""

    status = 403

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.message}


class Unauthorized(DomainError):
    """The caller is not authenticated: 401. Older clients read `detail`."""

    status = 401

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.message}


class NotFound(DomainError):
    """The object does not exist: 404."""

    status = 404


class Conflict(DomainError):
    """The request conflicts with existing data: 409."""

    status = 409


class TooLarge(DomainError):
    """The request is too large: 413."""

    status = 413


class TooManyRequests(DomainError):
    """Too many requests: 429. `retry_after` is in seconds."""

    status = 429

    def __init__(self, error: str, message: str, *, retry_after: int) -> None:
        super().__init__(error, message)
        self.retry_after = retry_after


def invalid_field(field: str, message: str, *, error: str = "Invalid payload", **extra: Any) -> Invalid:
    """An `Invalid` about one field."""
    return Invalid(error, message, fields={field: [message]}, **extra)
