"""One HTTP/1.1 connection: sends a request and reads the reply within limits. httptools (llhttp) parses the reply."""

from __future__ import annotations

import asyncio
import os
import time
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from executions.http.body import KEPT_CHARACTERS, text_of
from executions.http.deadline import Deadline

# Bytes of an answer's body that are kept, unless a request asks for more.
KEPT_BYTES = 16 * 1024
LARGEST_ANSWER = 1024 * 1024
_LARGEST_HEAD = 64 * 1024
# Each line and each chunk takes a call of ours: a target must not hold up the others with thousands of them.
_MOST_HEADERS = 500
_LARGEST_FRAMING = 64 * 1024
# Longer values of headers are cut: none that is read is as long.
_LONGEST_HEADER = 4096
_KEPT_HEADERS = 100
_READ_HEADERS = frozenset(
    [
        b"content-encoding",
        b"content-type",
        b"location",
        b"retry-after",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
    ]
)


class DeliveryError(Exception):
    """A request without a usable reply; the message says why.

    `failure`: connect (the request cannot have reached the target), timeout, broken, or '' if another attempt cannot
    help.
    """

    def __init__(self, reason: str, failure: str = "broken") -> None:
        super().__init__(reason)
        self.failure = failure


class Timings(NamedTuple):
    """Where the time of a call went, in seconds: the look-up of the name, the connection, TLS (all 0 for a connection
    that was open), from then until the first byte of the answer, and in all. `address`: who answered.
    """

    dns: float = 0
    connect: float = 0
    tls: float = 0
    first_byte: float = 0
    total: float = 0
    address: str = ""


class Reply(NamedTuple):
    """A reply: its status, the text of the first bytes of its body (`KEPT_BYTES`), and its `Retry-After`.

    `rate_limit_reset`: `X-RateLimit-Reset` where `X-RateLimit-Remaining` is 0 (GitHub). `location`: that header.
    `head`: the first 100 headers with their values, as they came. `is_cut`: the body is longer. `is_kept`: the body may
    be stored.
    """

    status: int
    text: str
    retry_after: str = ""
    rate_limit_reset: str = ""
    location: str = ""
    head: tuple[tuple[bytes, bytes], ...] = ()
    timings: Timings = Timings()
    is_cut: bool = False
    is_kept: bool = True

    @property
    def output(self) -> str:
        """The first 1,000 characters of the body."""
        return self.text[:KEPT_CHARACTERS]


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time. `has_answered`: whether a byte of the current reply has
    arrived.
    """

    has_answered: bool
    _kept: bytearray
    _received: int
    _size: int
    _header_count: int
    _sent_at: float
    _answered_at: float

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        # RFC 9112 requires or allows a client to accept folded lines (5.2) and lines that end in LF alone (2.2). Some
        # servers pad the sizes of chunks with spaces, which other clients accept.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._answer: asyncio.Future[Reply] | None = None
        self.is_closed = False
        # What it took to open the connection, until its first call has taken it.
        self.opening = Timings()
        self._headers: dict[bytes, str] = {}
        self._head: list[tuple[bytes, bytes]] = []
        self._forget()
        self._reusable = True

    @property
    def can_go_on(self) -> bool:
        """Whether the connection can be used for another exchange."""
        return not self.is_closed and self._answer is None and self._reusable

    async def exchange(
        self, message: bytes, timeout: float, deadline: float, *, kept_bytes: int = KEPT_BYTES, has_body: bool = True
    ) -> Reply:
        """Send a request and return the whole reply before `deadline` (loop time); `timeout` is the number of seconds
        to report. `has_body`: False for HEAD, whose answers have none.

        Raises `DeliveryError` and closes the connection if there is no usable reply.
        """
        if self.is_closed or self._transport is None:
            raise DeliveryError("the target closed the connection without an answer")
        self._forget(kept_bytes=kept_bytes, has_body=has_body)
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._answer = answer
        timer = Deadline(deadline, lambda: self._fail(f"timed out: no answer within {timeout:g} s", "timeout"))
        self._transport.write(message)
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer may have come in the same moment: nobody else closes the connection then.
            self.close()
            raise
        finally:
            timer.cancel()
            if self._answer is not None:
                self._answer = None
                self.close()

    def close(self) -> None:
        """Close the connection at once."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Data arrived that was not requested.
            self.close()
            return
        if not self.has_answered:
            self.has_answered = True
            self._answered_at = time.perf_counter()
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail("the target's answer is not valid HTTP")
        if self._answer is not None and not self._in_body and self._received > _LARGEST_HEAD:
            self._fail("the head of the answer is too long")
        elif self._answer is not None and self._received - self._size > _LARGEST_HEAD + _LARGEST_FRAMING:
            self._fail("the answer holds far more than its body")

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self._answer is None:
            return
        if isinstance(exc, OSError):
            self._fail(f"the connection broke: {os_reason(exc)}")
        elif self._in_body and self._until_end:
            self._complete()
        elif self._in_body:
            self._fail("the target broke off in the middle of its answer")
        else:
            self._fail("the target closed the connection without an answer")

    def on_message_begin(self) -> None:
        self._headers.clear()
        self._head.clear()
        if self._answer is None:
            # A second reply arrived that was not requested.
            self.close()
        self._in_body, self._until_end = False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        if self._header_count > _MOST_HEADERS:
            return
        if self._header_count <= _KEPT_HEADERS:
            self._head.append((name, value))
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            self._until_end = False
        elif name in _READ_HEADERS:
            self._headers[name] = value[:_LONGEST_HEADER].decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._header_count > _MOST_HEADERS:
            self._fail("the head of the answer has too many lines")
        # Informational replies (1xx) precede the final one (RFC 9110 section 15.2).
        self._in_body = self._parser.get_status_code() >= 200
        if self._in_body and not self._has_body:
            # The parser waits for the body that Content-Length promises, so the connection is not used again.
            self._complete()

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        room = self._kept_bytes - len(self._kept)
        if room > 0:
            self._kept += chunk[:room]
        if self._size > LARGEST_ANSWER:
            # The status and the first characters are known; the rest is not read.
            self._complete()

    def on_message_complete(self) -> None:
        if self._in_body:
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        headers = self._headers
        text = text_of(
            bytes(self._kept),
            headers.get(b"content-type", ""),
            headers.get(b"content-encoding", ""),
            self._kept_bytes,
            is_cut=self._size > self._kept_bytes,
        )
        used_up = headers.get(b"x-ratelimit-remaining", "").strip() == "0"
        self._settle(
            Reply(
                self._parser.get_status_code(),
                text,
                headers.get(b"retry-after", ""),
                headers.get(b"x-ratelimit-reset", "") if used_up else "",
                headers.get(b"location", ""),
                tuple(self._head),
                self._timings(),
                self._size > self._kept_bytes,
            )
        )
        if not self._reusable:
            self.close()

    def _timings(self) -> Timings:
        dns, connect, tls, _, _, address = self.opening
        if connect:
            self.opening = Timings(address=address)
        now = time.perf_counter()
        whole = dns + connect + tls + now - self._sent_at
        return Timings(dns, connect, tls, self._answered_at - self._sent_at, whole, address)

    def _settle(self, result: Reply | DeliveryError) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if isinstance(result, DeliveryError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def _fail(self, reason: str, failure: str = "broken") -> None:
        self._settle(DeliveryError(reason, failure))
        self.close()

    def _forget(self, *, kept_bytes: int = KEPT_BYTES, has_body: bool = True) -> None:
        """Reset the parser state before the next reply."""
        self._kept_bytes, self._has_body = kept_bytes, has_body
        self._sent_at = self._answered_at = time.perf_counter()
        self.has_answered = self._in_body = self._reusable = False
        self._until_end = True
        self._received = self._size = self._header_count = 0
        self._kept = bytearray()
        self._headers.clear()
        self._head.clear()


def os_reason(exc: OSError) -> str:
    """The operating system's description of an error."""
    text = exc.strerror if exc.errno is None or not exc.strerror else os.strerror(exc.errno)
    return (text or type(exc).__name__).lower()
