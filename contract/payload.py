"""Strict reading of JSON bodies and query strings: right types only, one clear error that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from contract.errors import NotFound, invalid_field


def text(value: Any, field: str, *, limit: int, error: str = "Invalid payload") -> str:
    """`value` trimmed; None is ''. Raises unless it is text of at most `limit` characters."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_field(field, f"'{field}' must be text.", error=error)
    trimmed: str = value.strip()
    if len(trimmed) > limit:
        raise invalid_field(
            field, f"'{field}' is too long: {len(trimmed)} characters, at most {limit} are allowed.", error=error
        )
    if "\x00" in trimmed:
        raise invalid_field(field, f"'{field}' may not contain the NUL character.", error=error)
    return trimmed


def boolean(value: Any, field: str) -> bool:
    """`value` if it is a JSON boolean. Text such as "false" is refused."""
    if not isinstance(value, bool):
        raise invalid_field(field, f"'{field}' must be true or false, as a JSON boolean.")
    return value


def mapping(value: Any, field: str, *, error: str = "Invalid payload") -> dict[str, Any]:
    """`value` if it is a JSON object; None is {}."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_field(field, f"'{field}' must be a JSON object.", error=error)
    return value


def query_int(params: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int | None = None) -> int:
    """A whole number of a query string within [least, most]; absent or empty is `default`."""
    raw = (params.get(name) or "").strip()
    if not raw:
        return default
    number = int(raw) if raw.isascii() and raw.removeprefix("-").isdigit() and len(raw) <= 18 else None
    if number is None or number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise invalid_field(name, f"'{name}' must be a whole number {bounds}.", error=f"Invalid {name}")
    return number


def query_flag(params: Mapping[str, str], name: str) -> bool:
    """Whether a query string's flag is on: 1, true, yes, y or on, in any case."""
    return (params.get(name) or "").strip().lower() in {"1", "true", "yes", "y", "on"}


def uuid_or_nil(value: Any) -> UUID:
    """The id of a filter; what is not a UUID matches nothing, like the nil UUID (RFC 9562)."""
    try:
        return UUID(str(value))
    except ValueError:
        return UUID(int=0)


def uuid_or_404(value: Any, error: str, message: str) -> UUID:
    """The id of a path; what is not a UUID is an unknown thing, not an error."""
    try:
        return UUID(str(value))
    except ValueError:
        raise NotFound(error, message) from None
