"""Strict parsing of JSON bodies and query strings: right types only, and an error that names the field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.api.errors import NotFound, invalid_field

_FIRST_YEAR, _LAST_YEAR = 1990, 2200


def text(value: Any, field: str, *, limit: int, error: str = "Invalid payload") -> str:
    """The trimmed text; None is ''. Raises `Invalid` unless it is text of at most `limit` characters."""
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
    """The JSON boolean. Text such as "false" is refused."""
    if not isinstance(value, bool):
        raise invalid_field(field, f"'{field}' must be true or false, as a JSON boolean.")
    return value


def mapping(value: Any, field: str, *, error: str = "Invalid payload") -> dict[str, Any]:
    """The JSON object; None is {}."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_field(field, f"'{field}' must be a JSON object.", error=error)
    return value


def whole(value: Any, field: str, least: int, most: int) -> int:
    """The JSON integer within [least, most]."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid_field(field, f"'{field}' must be a whole number from {least} to {most}.")
    return value


def moment(value: Any, field: str, zone: dt.tzinfo) -> dt.datetime | None:
    """The instant of an ISO 8601 datetime (text, or a datetime); one without an offset is in `zone`. None and '' are
    None. The year is from 1990 to 2200.
    """
    if value is None or value == "":
        return None
    try:
        found = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(text(value, field, limit=40))
    except ValueError:
        raise invalid_field(field, f"'{field}' must be a datetime such as 2026-12-31T18:00:00+09:00.") from None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise invalid_field(field, f"The year must be from {_FIRST_YEAR} to {_LAST_YEAR}.")
    return found if found.tzinfo else found.replace(tzinfo=zone)


def query_int(params: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int | None = None) -> int:
    """An integer of a query string within [least, most]; absent or empty is `default`."""
    raw = (params.get(name) or "").strip()
    if not raw:
        return default
    number = int(raw) if raw.isascii() and raw.removeprefix("-").isdigit() and len(raw) <= 18 else None
    if number is None or number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise invalid_field(name, f"'{name}' must be a whole number {bounds}.", error=f"Invalid {name}")
    return number


_ON, _OFF = frozenset({"1", "true", "yes", "y", "on"}), frozenset({"0", "false", "no", "n", "off"})


def query_flag(params: Mapping[str, str], name: str) -> bool:
    """Whether a flag of a query string or a form is on (1, true, yes, y, on) rather than off (0, false, no, n, off,
    absent or empty), in any case; anything else is an error.
    """
    return bool(query_boolean(params, name))


def query_boolean(params: Mapping[str, str], name: str) -> bool | None:
    """A boolean filter of a query string, with the words of `query_flag`; None if absent or empty."""
    raw = (params.get(name) or "").strip().lower()
    if raw and raw not in _ON | _OFF:
        raise invalid_field(name, f"'{name}' must be true or false.", error=f"Invalid {name}")
    return raw in _ON if raw else None


def uuid_or_nil(value: Any) -> UUID:
    """The id in a filter; text that is not a UUID gives the nil UUID (RFC 9562), which matches nothing."""
    try:
        return UUID(str(value))
    except ValueError:
        return UUID(int=0)


def uuid_or_404(value: Any, error: str, message: str) -> UUID:
    """The id in a path; text that is not a UUID raises `NotFound`."""
    try:
        return UUID(str(value))
    except ValueError:
        raise NotFound(error, message) from None
