"""Masking of values that may be secret, wherever they are shown."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

MASK = "••••••"
# Shorter texts would be found by chance.
_SHORTEST_IN_BASE64 = 6
_SHORTEST_BEGINNING = 3
# Hexadecimal escapes of URLs and JSON, which programs write in capitals or not.
_HEX = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}")
_SECRET_NAME = re.compile(r"pass|secret|token|api.?key|authorization|credential|private", re.IGNORECASE)
# Names of a URL's parameters that hold keys and signatures, beside the secret-sounding ones.
_SECRET_PARAMETER = re.compile(r"key|signature|auth|hmac|pwd|jwt|session|\b(?:sig|sid|code)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
# Segments of a path that are keys rather than names, such as those of Slack's and Discord's webhooks.
_KEY_SEGMENT = re.compile(r"(?<=/)(?=[^/]*[0-9])(?=[^/]*[A-Za-z])(?![0-9a-f]{8}-)[A-Za-z0-9_-]{20,}")
# `"token": "..."` and the like in text that is not one JSON document. Names are read once and whole (atomic groups), so
# that the time is linear in the text.
_SECRET_VALUE = re.compile(
    rf"""(?<![\w.-])(?=[\w.-]*?(?:{_SECRET_NAME.pattern}))((?>[\w.-]+)(?:(?>\\*)["'])?\s*+[:=]\s*+)"""
    r"""(?!["']?\{\{)((?P<e>(?>\\+))"(?:(?!(?<!\\)(?P=e)").)*+(?:(?P=e)")?|"(?:[^"\\]|\\.)*+"?|'(?:[^'\\]|\\.)*+'?|[^\s,;&}]+)""",
    re.IGNORECASE,
)

_USER_OF_URL = re.compile(r"(://)[^\s/?#]*@")
# The header as it is written: a scheme, and what it takes up to the end of the line (RFC 9110, section 11.6.2).
_AUTHORIZATION = re.compile(r"(authorization\s*[:=]\s*)[a-z][\w-]*[^\S\r\n]+[^\s][^\r\n]*", re.IGNORECASE)
# A secret-sounding name of JSON whose value is an object or a list.
_NESTED_SECRET = re.compile(
    rf"""("[^"]{{0,200}}(?:{_SECRET_NAME.pattern})[^"]{{0,200}}"\s*:\s*)[\[{{].*""", re.IGNORECASE | re.DOTALL
)


def is_placeholder(text: str) -> bool:
    """Whether a text is only the placeholder of a stored secret, which tells nothing."""
    return _PLACEHOLDER.fullmatch(text) is not None


def is_secret_name(name: str) -> bool:
    """Whether the value of this name is masked."""
    return _SECRET_NAME.search(name) is not None


def masked(value: Any) -> Any:
    """A JSON value in which the values of secret-sounding names are masked."""
    if isinstance(value, dict):
        return {name: MASK if _SECRET_NAME.search(str(name)) else masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [masked(one) for one in value]
    return _masked_document(value) if isinstance(value, str) and value.lstrip()[:1] in {"{", "[", '"'} else value


def _masked_document(text: str) -> str:
    """A text that may be JSON itself, as receivers answer with what they got; unchanged if it holds no secret."""
    try:
        document = json.loads(text)
        hidden = masked(document)
    except (ValueError, RecursionError):
        return masked_text(text)
    return text if hidden == document else json.dumps(hidden, ensure_ascii=False).encode("utf-8", "replace").decode()


def masked_text(text: str) -> str:
    """A text in which values that follow a secret-sounding name, and user names and passwords in URLs, are masked."""
    text = _SECRET_VALUE.sub(rf"\1{MASK}", _AUTHORIZATION.sub(rf"\1{MASK}", text))
    return _USER_OF_URL.sub(rf"\1{MASK}@", text)


def masked_body(text: str) -> str:
    """A body in which the values of secret-sounding names are masked, as in `masked` if it is JSON. Of JSON that was
    cut, what follows the beginning of such a value is left out.
    """
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.dumps(masked(json.loads(text)), ensure_ascii=False).encode("utf-8", "replace").decode()
        except (ValueError, RecursionError):
            text = _NESTED_SECRET.sub(rf"\1{MASK}", text)
    return masked_text(text)


def without_user(url: str) -> str:
    """A URL without user name and password."""
    scheme, mark, rest = url.partition("://")
    authority = re.match(r"[^/?#]*", rest)
    end = authority.end() if authority else 0
    return f"{scheme}{mark}{rest[:end].rpartition('@')[2]}{rest[end:]}"


def masked_url(text: str) -> str:
    """A URL without user name and password, and with the values of its query, what follows `/services/` and keys in its
    path masked.
    """
    try:
        parts = urlsplit(text)
        # As it is written: an address may hold characters that none should.
        authority = parts.netloc.rpartition("@")[2]
    except ValueError:
        return text.partition("?")[0].rpartition("@")[2]
    before, services, after = parts.path.partition("/services/")
    path = masked_text(f"{before}{services}{MASK}" if after else _KEY_SEGMENT.sub(MASK, parts.path))
    # What is no pair of a name and a value may be a key.
    names = (pair.partition("=")[0] + "=" if "=" in pair else "" for pair in parts.query.split("&"))
    query = "&".join(f"{name}{MASK}" for name in names) if parts.query else ""
    return urlunsplit((parts.scheme, authority, path, query, parts.fragment and MASK))


def url_for(url: str, *, is_owner: bool) -> str:
    """A URL for a reader: who may read the job's secrets (`is_owner`) sees its query but for secret-sounding names."""
    masked = masked_url(url)
    if not is_owner or "?" not in masked:
        return masked
    pairs = re.split("([&;])", url.partition("#")[0].partition("?")[2])
    query = "".join(f"{pair.partition('=')[0]}={MASK}" if _sounds_secret(pair) else pair for pair in pairs)
    before, _, after = masked.partition("?")
    return f"{before}?{masked_text(query)}{'#' + MASK if '#' in after else ''}"


def _sounds_secret(pair: str) -> bool:
    name, equals, value = pair.partition("=")
    name = unquote(name)
    secret = is_secret_name(name) or _SECRET_PARAMETER.search(name) is not None
    return bool(equals) and secret and not is_placeholder(value)


class SecretTexts:
    """Replaces known secrets in text, in the encodings in which a request or an answer may hold them: as they are,
    percent-encoded, escaped as JSON, and in base64 at any place.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        """`secrets`: each with the text that is shown in its place."""
        self._shown = {_folded(needle): shown for secret, shown in secrets if secret for needle in _encodings(secret)}
        # The longest first, because one may be a part of another.
        needles = sorted(self._shown, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, needles))) if needles else None

    def hide(self, text: str, *, is_cut: bool = False) -> str:
        """The text without the secrets; of one that `is_cut` also without the beginning of a secret at its end."""
        if self._pattern is None or not text:
            return text
        # Most texts hold none, which is faster to see without the regular expression.
        folded = _folded(text) if "%" in text or "\\" in text else text
        hidden = text
        if any(needle in folded for needle in self._shown):
            hidden = self._pattern.sub(lambda found: self._shown[_folded(found[0])], text)
        return self._without_beginning(hidden) if is_cut else hidden

    def _without_beginning(self, text: str) -> str:
        folded = _folded(text)
        for needle, shown in self._shown.items():
            for length in range(min(len(needle), len(text)), _SHORTEST_BEGINNING - 1, -1):
                if folded.endswith(needle[:length]):
                    return text[:-length] + shown
        return text


def _folded(text: str) -> str:
    """A text with its hexadecimal escapes in small letters."""
    return _HEX.sub(lambda found: found[0].lower(), text)


@lru_cache(maxsize=8_000)
def _pattern(needle: str) -> str:
    """The regular expression of a text, with hexadecimal escapes in capitals or not."""
    parts, at = [], 0
    for found in _HEX.finditer(needle):
        parts += [re.escape(needle[at : found.start()]), f"(?i:{re.escape(found[0])})"]
        at = found.end()
    return "".join([*parts, re.escape(needle[at:])])


# The token of a callback, also its beginning: the id of an execution and a signature.
_CALLBACK_TOKEN = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\.[A-Za-z0-9_-]{8,43}", re.ASCII)
CALLBACK_SHOWN = "{{ callback }}"


def without_callbacks(text: str) -> str:
    """A text without the tokens of callbacks, which are the proof of who calls."""
    return _CALLBACK_TOKEN.sub(CALLBACK_SHOWN, text)


@lru_cache(maxsize=1_000)
def secret_texts(secrets: tuple[tuple[str, str], ...]) -> SecretTexts:
    """What hides these secrets; many jobs share a credential."""
    return SecretTexts(secrets)


@lru_cache(maxsize=2_000)
def _encodings(secret: str) -> frozenset[str]:
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    found |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    found |= {one.replace("/", "\\/") for one in set(found)}
    raw = secret.encode()
    if len(raw) >= _SHORTEST_IN_BASE64:
        found |= {part for encode in (base64.b64encode, base64.urlsafe_b64encode) for part in _in_base64(raw, encode)}
    return frozenset(found)


def _in_base64(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """The characters of base64 that depend on these bytes alone, for each place that they may begin at."""
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        yield encode(bytes(before) + raw).decode()[first:last]
