"""The demo's target on loopback: `/ok` answers at once, `/slow` takes some seconds, `/long` some minutes; `/flaky`
fails sometimes, `/half` every second time, `/down` always.

Run it as `python -m demo.echo PORT`.
"""

from __future__ import annotations

import json
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Echo(BaseHTTPRequestHandler):
    """Answers with the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        if self.path.startswith("/slow"):
            time.sleep(random.uniform(0.5, 4))
        if self.path.startswith("/long"):
            time.sleep(random.uniform(200, 260))
        risks = {"/flaky": 0.1, "/half": 0.5, "/down": 1.0}
        fails = any(self.path.startswith(path) and random.random() < risk for path, risk in risks.items())
        body = json.dumps({"error": "upstream unavailable"} if fails else {"accepted": True, "sent": sent}).encode()
        self.send_response(503 if fails else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """No log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
