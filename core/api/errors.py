"""Domain errors, reported alike by API, admin and commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.sentences import said

# Errors whose messages are words of their own: they name the field, or are quoted by the contract.
_SPOKEN = {"Invalid payload", "Invalid PIC team"}


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

    @property
    def spoken(self) -> str:
        """The message in the language of the page; the API answers with the English one."""
        return said(self.message)

    def body(self) -> dict[str, Any]:
        """The API's answer."""
        body: dict[str, Any] = {"error": self.error, "message": self.sentence(), **self.extra}
        if self.fields:
            body["fields"] = self.fields
        return body

    def sentence(self) -> str:
        """What is wrong and what to do. It stands alone, because clients show it in place of `error`."""
        if self.error in _SPOKEN or self.message.lower().startswith(self.error.lower().rstrip(".")):
            return self.message
        return f"{self.error.rstrip('.')}. {self.message}"


class Invalid(DomainError):
    """The request cannot be used: 400."""


class Forbidden(DomainError):
    """The caller may not do this: 403. Older clients read `detail`."""

    status = 403

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.sentence()}


class Unauthorized(DomainError):
    """The caller is not authenticated: 401. Older clients read `detail`."""

    status = 401

    def body(self) -> dict[str, Any]:
        return {**super().body(), "detail": self.sentence()}


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


def missing_fields(names: list[str], *, verb: str = "Fill in", joint: str = " and ") -> Invalid:
    """An `Invalid` about required fields without a value; `verb` and `joint` word the advice."""
    return Invalid(
        "Missing required fields",
        f"{verb} {joint.join(names)}.",
        fields={name: ["Is required."] for name in names},
        missing_fields=names,
    )


class Checks:
    """Runs checks in the contract's order, and raises the first error with the wrong fields of all of them."""

    def __init__(self) -> None:
        self._errors: list[Invalid] = []

    @contextmanager
    def check(self) -> Iterator[None]:
        """Note an `Invalid` of the block instead of raising it; the block ends there."""
        try:
            yield
        except Invalid as exc:
            self._errors.append(exc)

    def finish(self) -> None:
        """Raise the first error, if there was one."""
        if self._errors:
            first = self._errors[0]
            for other in self._errors[1:]:
                first.fields = {**first.fields, **{k: v for k, v in other.fields.items() if k not in first.fields}}
            raise first


def invalid_field(field: str, message: str, *, error: str = "Invalid payload", **extra: Any) -> Invalid:
    """An `Invalid` about one field."""
    return Invalid(error, message, fields={field: [message]}, **extra)
