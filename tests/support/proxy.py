"""An HTTP proxy on loopback: absolute-form requests and CONNECT tunnels, with or without credentials."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class Proxy:
    """Started with `with`. `asked`: what it was asked for. `names`: where names that only the proxy knows lead."""

    def __init__(self, credentials: str = "") -> None:
        self.credentials = credentials
        self.asked: list[str] = []
        self.names: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        name = f"{self.credentials}@" if self.credentials else ""
        return f"http://{name}127.0.0.1:{self._server.server_address[1]}"

    def lets_in(self, authorization: str) -> bool:
        wanted = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        return not self.credentials or authorization == wanted


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Stay silent."""

    def _refused(self) -> bool:
        self.server.proxy.asked.append(f"{self.command} {self.path}")
        if self.server.proxy.lets_in(self.headers.get("Proxy-Authorization", "")):
            return False
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def do_GET(self) -> None:
        if self._refused():
            return
        parts = urlsplit(self.path)
        host = self.server.proxy.names.get(parts.hostname or "", parts.hostname or "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = http.client.HTTPConnection(host, parts.port or 80, timeout=5)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        target.request(self.command, parts.path, body, headers)
        answer = target.getresponse()
        content = answer.read()
        target.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def do_CONNECT(self) -> None:
        if self._refused():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((self.server.proxy.names.get(host, host), int(port)), 5) as target:
            self.send_response(200)
            self.end_headers()
            ends = [self.connection, target]
            while ready := select.select(ends, [], [], 5)[0]:
                for one in ready:
                    other = target if one is self.connection else self.connection
                    data = one.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    other.sendall(data)
