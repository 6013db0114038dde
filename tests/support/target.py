"""A webhook target on loopback. What it does is in the path of the call."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Arrival:
    """One call as it arrived; `at` is Unix time in seconds."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Target:
    """`/ok`, `/status/N`, `/hang`, `/drip`, `/reset`, `/close`, `/garbage`, `/flood`, `/sleep?s=0.2`, `/redirect`,
    `/text?t=…`.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    answers: dict[str, Callable[[Arrival], tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.target = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forget(self) -> None:
        """Let hanging calls go, and start with nothing noted."""
        self.released.set()
        self.released = threading.Event()
        self.arrivals.clear()
        self.answers.clear()

    def paths(self) -> list[str]:
        return [arrival.path for arrival in self.arrivals]

    def wait_for(self, count: int, timeout: float = 10) -> list[Arrival]:
        """The arrivals, once there are `count`."""
        wait_until(lambda: len(self.arrivals) >= count, timeout)
        return self.arrivals


def wait_until(condition: Callable[[], Any], timeout: float = 30) -> Any:
    """Wait until `condition` gives something true, and return that; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        pause.wait(0.02)
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    target: Target

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Stay silent."""

    def _answer(self) -> None:
        target = self.server.target
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        arrival = Arrival(time.time(), self.command, parts.path, dict(self.headers.items()), body, parts.query)
        target.arrivals.append(arrival)
        if parts.path in target.answers:
            self._reply(*target.answers[parts.path](arrival))
            return
        first = parts.path.split("/")[1]
        getattr(self, f"_{first}", self._ok)(parts.path, query)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

    def _reply(self, status: int = 200, headers: dict[str, str] | None = None, body: bytes = b"ok") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _ok(self, path: str, query: dict[str, str]) -> None:
        self._reply()

    def _status(self, path: str, query: dict[str, str]) -> None:
        self._reply(int(path.split("/")[2]), body=b"" if path.endswith("204") else b"the reason")

    def _text(self, path: str, query: dict[str, str]) -> None:
        self._reply(body=query["t"].encode() * int(query.get("n", 1)))

    def _sleep(self, path: str, query: dict[str, str]) -> None:
        self.server.target.released.wait(float(query["s"]))
        self._reply()

    def _hang(self, path: str, query: dict[str, str]) -> None:
        self.server.target.released.wait(30)

    def _drip(self, path: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.end_headers()
        released = self.server.target.released
        while not released.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()

    def _reset(self, path: str, query: dict[str, str]) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def _close(self, path: str, query: dict[str, str]) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _garbage(self, path: str, query: dict[str, str]) -> None:
        self.wfile.write(b"\x00\xffthis is not HTTP at all\r\n\r\n")
        self.close_connection = True

    def _short(self, path: str, query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        self.close_connection = True

    def _flood(self, path: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.end_headers()
        block = b"x" * 65536
        while not self.server.target.released.is_set():
            self.wfile.write(block)

    def _redirect(self, path: str, query: dict[str, str]) -> None:
        self._reply(302, {"Location": "/ok"})
