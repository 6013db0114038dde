"""The body of an answer as text: content codings, charset, and what no database stores."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

import brotli

# Characters of an answer that are kept as an execution's output.
KEPT_CHARACTERS = 1000
_LONGEST_CONTENT_TYPE = 256
_CHARSET = re.compile(r"""(?:;|^)\s*charset\s*=\s*["']?([\w.:+-]{1,40})""", re.ASCII | re.IGNORECASE)
# Labels that stand for a larger character set than Python's codec of that name (WHATWG Encoding, "Names and labels").
_LABELS = {
    **dict.fromkeys(["shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "csshiftjis", "windows-31j"], "cp932"),
    **dict.fromkeys(["iso-8859-1", "latin1", "us-ascii", "ascii"], "cp1252"),
    **dict.fromkeys(["gb2312", "gbk", "x-gbk"], "gb18030"),
    **dict.fromkeys(["euc-kr", "ks_c_5601-1987"], "cp949"),
}


def text_of(raw: bytes, content_type: str, coding: str, limit: int, *, is_cut: bool) -> str:
    """The text of a body's first bytes; at most `limit` bytes are decoded, so that a small body that unpacks to a huge
    one costs no more. `is_cut`: the body had more bytes.
    """
    if coding:
        raw = _unpacked(raw, coding, limit)
        is_cut = is_cut or len(raw) >= limit
    text = _decoded(raw[:limit], _charset(content_type))
    # The cut may have gone through a character.
    return text.rstrip("\N{REPLACEMENT CHARACTER}") if is_cut else text


def _unpacked(raw: bytes, coding: str, limit: int) -> bytes:
    """The first `limit` bytes of a packed body (RFC 9110 section 8.4.1, RFC 7932); the body itself if it is not packed
    so.
    """
    name = coding.strip().lower()
    try:
        if name in {"gzip", "x-gzip"}:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, limit)
        if name == "deflate":
            return _inflated(raw, limit)
        if name == "br":
            return bytes(brotli.Decompressor().process(raw, output_buffer_limit=limit))
    except (zlib.error, brotli.error):
        pass
    return raw


def _inflated(raw: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, limit)
    except zlib.error:
        # Some servers leave out the zlib format around the data.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, limit)


@lru_cache(maxsize=256)
def _charset(content_type: str) -> str | None:
    """The `charset` parameter of a Content-Type (RFC 9110 section 8.3.2)."""
    found = _CHARSET.search(content_type[:_LONGEST_CONTENT_TYPE])
    charset = found[1].lower() if found else None
    return _LABELS.get(charset or "", charset)


def _decoded(raw: bytes, charset: str | None) -> str:
    try:
        text = raw.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", errors="replace")
    if text.isascii() and "\x00" not in text:
        return text
    # Some charsets can encode single surrogates, which no database stores.
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
