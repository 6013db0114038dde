"""Parser, renderer and content negotiation for JSON."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.api.errors import Invalid


class JsonRenderer(BaseRenderer):
    """Writes UTF-8 JSON; `None` is an empty body."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            # A value that orjson refuses, such as an integer over 64 bits that was stored by hand: slower, but the list
            # is answered.
            return json.dumps(data, default=str).encode()


class JsonOnly(BaseContentNegotiation):
    """Always answers JSON, whatever the client accepts: an error never becomes HTML or a 406."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        content_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


def body_of(request: Any) -> dict[str, Any]:
    """The JSON object in the body; `JsonObjectParser` accepts nothing else."""
    data: dict[str, Any] = request.data
    return data


class JsonObjectParser(BaseParser):
    """Reads a JSON object (RFC 8259): no NaN, no infinities, no lone surrogates, no NUL in text.

    An empty body and the text `null` are {}. Raises `Invalid JSON` and `Invalid payload`.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        raw: bytes = stream.read()
        if not raw.strip():
            return {}
        return read_object(raw)


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`; see `JsonObjectParser`."""
    try:
        data = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite)
        if b"\\ud" in raw.lower():
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise Invalid("Invalid JSON", "The body is not valid JSON: check quotes, commas and encoding (UTF-8).") from exc
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Invalid("Invalid payload", "JSON body must be an object.")
    if b"\\u0000" in raw:
        raise Invalid("Invalid payload", "Text may not contain the NUL character.")
    if not _shallow(data):
        raise Invalid("Invalid payload", f"The body is nested too deeply: at most {MAX_DEPTH} levels are allowed.")
    return data


MAX_DEPTH = 64


def _shallow(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return True
    return False


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number
