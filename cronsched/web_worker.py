"""Gunicorn's worker that reads whole requests before a thread works on them, and lets no client hold a thread.

Gunicorn's threads read the request themselves, so a few hundred clients that send half a request take the service away.
Here waitress reads requests and writes answers in one loop; its threads see complete requests only. On top of it:

- a request has a time in which it must be complete, and an answer one in which it must be taken;
- an answer that waits for a call (of a test run) holds no thread, see `core.runtime.parking`;
- where the connections are used up, the one that has waited longest without a request is closed for a new one;
- errors below the application have the API's shape.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import RequestEntityTooLarge

from core.api.errors import DomainError, TooLarge
from core.runtime import parking
from core.runtime.open_files import allow_open_files
from cronsched import settings
from cronsched.middleware import body_too_large, largest_body

log = logging.getLogger("cronsched.web")
# In seconds. A body may be large, and the line slow.
HEAD_SECONDS = 15.0
BODY_SECONDS = 120.0
ANSWER_SECONDS = 120.0
_POLL_SECONDS = 0.25
CONNECTIONS = 2000
_SPARE = 100
_UNREAD_ROUNDS = 16
# Of the time that gunicorn gives to a stop, and for the next bytes of a request then.
_SPARE_SECONDS = 1.0
_PIPELINED = 4
# Bytes of a body in memory before it goes to a temporary file: times the number of connections.
_BODY_IN_MEMORY = 32 * 1024
# Bytes of an answer in memory before it goes to a temporary file, and before its thread waits for the client.
_ANSWER_IN_MEMORY = 128 * 1024
_ANSWER_WAITING = 64 * 1024 * 1024
# A client that takes nothing for so long may lose its connection to another one.
_STALLED_SECONDS = 10.0
_LARGEST_HEAD = 32 * 1024
_MESSAGES = {
    400: ("Bad request", "The request is not valid HTTP."),
    431: ("Header too large", f"At most {_LARGEST_HEAD // 1024} KiB of address and headers can be sent."),
    500: ("Internal server error", "Something went wrong on our side."),
    501: ("Not implemented", "This transfer encoding is not supported: send the body plain or chunked."),
}


class JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """Answers what never reached the application, in the shape of the API's errors."""

    def execute(self) -> None:
        code = int(self.request.error.code)
        if code == TooLarge.status:
            refusal: DomainError = body_too_large(largest_body(self.request.path))
        else:
            refusal = DomainError(*_MESSAGES.get(code, _MESSAGES[400]))
        body = json.dumps(refusal.body()).encode()
        self.status = f"{code} {refusal.error}"
        self.response_headers = [("Content-Type", "application/json"), ("Connection", "close")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Held(NamedTuple):
    """A parked answer with the status and the headers that the application has given it."""

    parked: parking.Parked
    status: str
    headers: list[tuple[str, str]]


class HeldBack(BaseException):
    """The application has answered, and the body is to come. No `Exception`, all of which waitress handles."""


class Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Has the application answer a request, or writes an answer that was parked."""

    status: str
    response_headers: list[tuple[str, str]]

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[parking.CAN_PARK] = True
        return environ

    def execute(self) -> None:
        held = self.request.held
        if held is None:
            super().execute()
            parked = self.environ.get(parking.PARKED)
            if parked is not None and not self.wrote_header:
                self.request.held = Held(parked, self.status, list(self.response_headers))
                raise HeldBack
            return
        try:
            body, self.status = held.parked.write(), held.status
        except Exception:
            log.exception("a parked answer could not be written")
            refusal = DomainError(*_MESSAGES[500])
            body, self.status = json.dumps(refusal.body()).encode(), f"500 {refusal.error}"
        self.response_headers = [one for one in held.headers if one[0].lower() != "content-length"]
        self.complete = True
        self.content_length = len(body)
        self.write(body)


class _Sink:
    """Takes the place of a body that is too large: it is read, so that the client reads the answer, and not kept."""

    def append(self, data: bytes) -> None:
        return

    def __len__(self) -> int:
        return 0


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what HTTP/1.1 forbids and waitress lets through, and keeps large bodies for uploads only."""

    error: Any
    is_too_large = False
    held: Held | None = None

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        size = max(self.content_length, self.body_bytes_received)
        if self.body_rcv is not None and size > largest_body(self.path):
            if not self.is_too_large:
                self.is_too_large = True
                self.body_rcv.buf = _Sink()
            if self.completed and self.error is None:
                self.error = RequestEntityTooLarge("")
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.version == "1.1" and "HOST" not in self.headers:
            # RFC 9112 section 3.2.
            raise ParsingError("Host is missing")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            # RFC 9112 section 6.3: an attempt to smuggle a request.
            raise ParsingError("Content-Length beside Transfer-Encoding")


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; it knows since when it has been reading a request and writing an answer."""

    error_task_class = JsonErrorTask
    task_class = Task
    parser_class = Parser
    reading_since = 0.0
    writing_since = 0.0

    def received(self, data: bytes) -> bool:
        done = bool(super().received(data))
        if len(self.requests) > _PIPELINED:
            # One packet could ask for a hundred large answers.
            self.end()
        if self.request is None:
            self.reading_since = 0.0
        elif not self.reading_since:
            self.reading_since = time.time()
        return done

    def service(self) -> None:
        """Have a thread answer the first request that has come; a parked answer goes on when it can be written."""
        try:
            super().service()
        except HeldBack:
            self.requests[0].held.parked.awaited.add_done_callback(lambda _done: self.server.add_task(self))

    def handle_close(self) -> None:
        """Close; bytes that nobody read would make the system send a reset, which can overtake the answer."""
        if self.socket is not None:
            with suppress(OSError):
                for _round in range(_UNREAD_ROUNDS):
                    if not self.socket.recv(65536):
                        break
        super().handle_close()

    def end(self) -> None:
        """Have the loop close this connection. Not here: its descriptor could go to a new connection, which would get
        the events of this one that are still waiting.
        """
        self.will_close = True
        # Wakes the loop up for a client that reads nothing, whose socket is never writable.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def is_overdue(self, now: float) -> bool:
        """Whether the client has taken longer than it may. To be asked often."""
        if self.total_outbufs_len and not self.writing_since:
            self.writing_since = now
        elif not self.total_outbufs_len:
            self.writing_since = 0.0
        partial = self.request
        if self.requests and self.reading_since:
            # Nothing is read while a request is worked on.
            self.reading_since = now
        limit = BODY_SECONDS if partial is not None and partial.headers_finished else HEAD_SECONDS
        is_slow_to_send = partial is not None and bool(self.reading_since) and now - self.reading_since > limit
        return is_slow_to_send or bool(self.writing_since and now - self.writing_since > ANSWER_SECONDS)

    def is_waiting(self, now: float) -> bool:
        """Whether it is the client that holds the connection: no request of it is worked on, and no answer taken."""
        return not self.requests and not (self.total_outbufs_len and now - self.last_activity < _STALLED_SECONDS)

    def is_sending(self, now: float) -> bool:
        """Whether a request is arriving, and not only begun."""
        return self.request is not None and now - self.last_activity < _SPARE_SECONDS

    @property
    def is_busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """The server of one listening socket."""

    channel_class = Channel

    def maintenance(self, now: float) -> None:
        for channel in self.active_channels.values():
            idle = not channel.is_busy and now - channel.last_activity > self.adj.channel_timeout
            if idle or channel.is_overdue(now):
                channel.end()

    def handle_accept(self) -> None:
        if len(self.active_channels) >= CONNECTIONS:
            now = time.time()
            waiting = (one for one in self.active_channels.values() if one.is_waiting(now))
            longest = min(waiting, key=lambda one: one.last_activity, default=None)
            if longest is not None:
                longest.end()
        super().handle_accept()


class BufferingWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """A process that serves; gunicorn starts, watches and stops it."""

    _map: ClassVar[dict[int, Any]] = {}

    def run(self) -> None:
        allow_open_files(4 * CONNECTIONS)
        threads = ThreadedTaskDispatcher()
        threads.set_thread_count(self.cfg.threads)
        servers = [self._serve(one.sock, threads) for one in self.sockets]
        while self.alive and self.ppid == os.getppid():
            self.notify()
            wasyncore.poll2(_POLL_SECONDS, self._map)
        self._drain(servers)
        threads.shutdown(timeout=1)
        wasyncore.close_all(self._map)

    def _serve(self, listener: socket.socket, threads: ThreadedTaskDispatcher) -> Server:
        adjustments = Adjustments(
            sockets=[listener],
            threads=self.cfg.threads,
            connection_limit=CONNECTIONS + _SPARE,
            channel_timeout=self.cfg.keepalive,
            cleanup_interval=1,
            outbuf_overflow=_ANSWER_IN_MEMORY,
            outbuf_high_watermark=_ANSWER_WAITING,
            max_request_header_size=_LARGEST_HEAD,
            max_request_body_size=settings.MAX_UPLOAD_BYTES + 64 * 1024,
            inbuf_overflow=_BODY_IN_MEMORY,
            # `cronsched.middleware.ClientAddress` knows which proxies are trusted.
            clear_untrusted_proxy_headers=False,
            ident=None,
            log_socket_errors=False,
        )
        info = (listener.family, listener.type, listener.proto, listener.getsockname())
        return Server(
            self.wsgi, self._map, True, listener, dispatcher=threads, adj=adjustments, sockinfo=info, bind_socket=False
        )

    def _drain(self, servers: list[Server]) -> None:
        """Accept nothing more, and let requests under way end. Manual runs need the rest of the time that gunicorn
        gives.
        """
        from executions.delivery.caller import local_caller

        until = time.monotonic() + self.cfg.graceful_timeout - settings.ENGINE_DRAIN_SECONDS - _SPARE_SECONDS
        for server in servers:
            server.accepting = False
        # What has arrived already is a request under way.
        wasyncore.poll2(0, self._map)
        # Parked answers say that their calls were broken off.
        local_caller().break_off()
        while time.monotonic() < until:
            self.notify()
            channels = [one for server in servers for one in list(server.active_channels.values())]
            if not any(one.is_busy or one.is_sending(time.time()) for one in channels):
                return
            wasyncore.poll2(_POLL_SECONDS, self._map)
