"""Errors of the domain, as every way in (API, admin, commands) reports them."""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """A request that is refused, and has changed nothing.

    `error` is the short, stable name that API clients compare. `message` is a sentence for a person: what is wrong and
    what to do. `fields` maps field names to their messages. `extra` keys are added to the API's answer as they are.
    `status` is the HTTP status with which the API answers.
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
    """What was sent cannot be used: 400."""


class Forbidden(DomainError):
    """The caller may not do this: 403. Older clients read `detail`."""

    status = 403

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.message}


class Unauthorized(DomainError):
    """Who the caller is has not been shown: 401. Older clients read `detail`."""

    status = 401

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.message}


class NotFound(DomainError):
    """There is no such thing: 404."""

    status = 404


class Conflict(DomainError):
    """It clashes with what is there: 409."""

    status = 409


class TooLarge(DomainError):
    """More was sent than is taken: 413."""

    status = 413


class TooManyRequests(DomainError):
    """Asked too often: 429. `retry_after` is in seconds."""

    status = 429

    def __init__(self, error: str, message: str, *, retry_after: int) -> None:
        super().__init__(error, message)
        self.retry_after = retry_after


def invalid_field(field: str, message: str, *, error: str = "Invalid payload", **extra: Any) -> Invalid:
    """An `Invalid` about one field."""
    return Invalid(error, message, fields={field: [message]}, **extra)
