"""A stand-in for GitHub's API on loopback, for tests and for trying workflows offline (`make demo-github`).

The name of a workflow decides its result: `NAME.yml`, where NAME is a conclusion (`success`, `failure`, `cancelled`,
`timed_out`, `action_required`, `startup_failure`), optionally with seconds, as in `failure-60.yml`. Every owner and
repository exists; the token `revoked` is refused with 401. Statuses, headers and bodies follow GitHub's REST
documentation: "Create a workflow dispatch event", "List workflow runs for a repository".

Run it as `python -m demo.github_stand_in PORT`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CONCLUSIONS = {"success", "failure", "cancelled", "timed_out", "action_required", "startup_failure", "neutral"}
_FILE = re.compile(r"([a-z_]+)(?:-(\d+))?\.ya?ml")
_DISPATCH = re.compile(r"/repos/([^/]+)/([^/]+)/actions/workflows/([^/]+)/dispatches")
_RUNS = re.compile(r"/repos/([^/]+)/([^/]+)/actions/runs(?:/(\d+))?")
_JOBS = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs/(\d+)/jobs")
_ANNOTATIONS = re.compile(r"/repos/[^/]+/[^/]+/check-runs/(\d+)/annotations")
_CANCEL = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs/(\d+)/cancel")
_CONTENTS = re.compile(r"/repos/[^/]+/[^/]+/contents/\.github/workflows/([^/]+)")
_DEFAULT_SECONDS = 3.0


@dataclass
class Run:
    """One run: queued, then in progress, then completed after its duration."""

    id: int
    repository: str
    workflow: str
    conclusion: str
    seconds: float
    base: str
    now: Callable[[], float] = time.time
    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = self.now()

    def body(self) -> dict[str, Any]:
        age = self.now() - self.began
        over = age >= self.seconds
        stamp = dt.datetime.fromtimestamp
        return {
            "id": self.id,
            "path": f".github/workflows/{self.workflow}",
            "event": "workflow_dispatch",
            "status": "completed" if over else "in_progress" if age > min(0.2, self.seconds / 2) else "queued",
            "conclusion": self.conclusion if over else None,
            "run_attempt": 1,
            "html_url": f"https://github.com/{self.repository}/actions/runs/{self.id}",
            "url": f"{self.base}/repos/{self.repository}/actions/runs/{self.id}",
            "run_started_at": f"{stamp(self.began, dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "updated_at": f"{stamp(self.began + (self.seconds if over else 0), dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        }


def _annotation(path: str, line: int, message: str) -> dict[str, Any]:
    """GitHub REST, "List check run annotations"."""
    return {"path": path, "start_line": line, "annotation_level": "failure", "title": "", "message": message}


class GitHub:
    """The server. `knows_run_details` is False for an older Enterprise server; `fail_next` holds the next answers;
    `files` holds workflow files by name. `now` gives Unix time.
    """

    def __init__(self, port: int = 0, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.knows_run_details = True
        self.revoked = {"revoked"}
        self.fail_next: list[tuple[int, dict[str, str]]] = []
        self.calls: list[tuple[str, str, int]] = []
        self.runs: dict[int, Run] = {}
        self.files: dict[str, str] = {}
        # The message with which dispatches are refused (422), such as "No ref found for: main".
        self.refusal = ""
        # The names of the jobs that fail in a run that fails, and what is annotated in each of them.
        self.failing_jobs = ["e2e (chrome)"]
        self.annotations: Any = [
            _annotation("tests/e2e/login.spec.ts", 41, "Timed out 5000ms waiting for expect(locator).toBeVisible()"),
            _annotation(".github", 1, "Process completed with exit code 1."),
        ]
        self._ids = itertools.count(1_000_000_001)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.github = self  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        """Serve until stopped."""
        self._server.serve_forever()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, headers: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers of the answer to one request."""
        if self.fail_next:
            status, more = self.fail_next.pop(0)
            return status, {"message": "API rate limit exceeded" if status in {403, 429} else "Server Error"}, more
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if not token or token in self.revoked:
            return 401, {"message": "Bad credentials"}, {}
        route, _, _ = path.partition("?")
        if found := _DISPATCH.fullmatch(route):
            return self._dispatch(found[1], found[2], found[3], body) if method == "POST" else (405, {}, {})
        if found := _RUNS.fullmatch(route):
            return self._listed(f"{found[1]}/{found[2]}", int(found[3]) if found[3] else None)
        if found := _JOBS.fullmatch(route):
            return self._jobs(found[1], int(found[2]))
        if _ANNOTATIONS.fullmatch(route):
            return 200, self.annotations, {}
        if (found := _CANCEL.fullmatch(route)) and method == "POST":
            return self._cancel(found[1], int(found[2]))
        if found := _CONTENTS.fullmatch(route):
            text = self.files.get(found[1])
            return (200, text, {}) if text is not None and method == "GET" else (404, {"message": "Not Found"}, {})
        if route.startswith("/app/installations/") and method == "POST":
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
            return 201, {"token": f"ghs_{len(self.calls)}", "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}, {}
        repositories = [
            {"full_name": "acme/shop", "permissions": {"push": True}},
            {"full_name": "acme/docs", "permissions": {"push": False}},
        ]
        if route == "/installation/repositories":
            return 200, {"total_count": 2, "repositories": repositories}, {}
        if route == "/rate_limit":
            return 200, {"resources": {}}, {}
        if route == "/user/repos":
            return 200, repositories, {"github-authentication-token-expiration": "2099-01-31 09:00:00 +0900"}
        return 404, {"message": "Not Found"}, {}

    def _dispatch(self, owner: str, repo: str, workflow: str, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        found = _FILE.fullmatch(workflow)
        if found is None or found[1] not in CONCLUSIONS:
            return 404, {"message": "Not Found"}, {}
        if not isinstance(body.get("ref"), str):
            return 422, {"message": 'Invalid request. "ref" wasn\'t supplied.'}, {}
        if self.refusal:
            return 422, {"message": self.refusal, "documentation_url": "https://docs.github.com/rest"}, {}
        wants = "return_run_details" in body
        if wants and not self.knows_run_details:
            return 422, {"message": 'Invalid request. "return_run_details" is not a permitted key.'}, {}
        seconds = float(found[2]) if found[2] else _DEFAULT_SECONDS
        run = Run(next(self._ids), f"{owner}/{repo}", workflow, found[1], seconds, self.url, self._now)
        self.runs[run.id] = run
        if not (wants and body["return_run_details"]):
            return 204, None, {}
        told = run.body()
        return 200, {"workflow_run_id": run.id, "run_url": told["url"], "html_url": told["html_url"]}, {}

    def _cancel(self, repository: str, run_id: int) -> tuple[int, Any, dict[str, str]]:
        run = self.runs.get(run_id)
        if run is None or run.repository != repository:
            return 404, {"message": "Not Found"}, {}
        if run.body()["status"] == "completed":
            return 409, {"message": "Cannot cancel a workflow run that is completed."}, {}
        run.conclusion, run.seconds = "cancelled", self._now() - run.began
        return 202, {}, {}

    def _jobs(self, repository: str, run_id: int) -> tuple[int, Any, dict[str, str]]:
        """GitHub REST, "List jobs for a workflow run"."""
        run = self.runs.get(run_id)
        if run is None or run.repository != repository:
            return 404, {"message": "Not Found"}, {}
        bad = self.failing_jobs if run.conclusion in {"failure", "timed_out"} else []
        told = [("build", "success"), *((name, run.conclusion) for name in bad)]
        jobs = [
            {
                "id": 10 * run_id + number,
                "run_id": run_id,
                "name": name,
                "status": "completed",
                "conclusion": conclusion,
                "html_url": f"https://github.com/{repository}/actions/runs/{run_id}/job/{10 * run_id + number}",
                "steps": [
                    {"name": "Set up job", "number": 1, "status": "completed", "conclusion": "success"},
                    {"name": "Run Playwright", "number": 2, "status": "completed", "conclusion": conclusion},
                ],
            }
            for number, (name, conclusion) in enumerate(told)
        ]
        return 200, {"total_count": len(jobs), "jobs": jobs}, {}

    def _listed(self, repository: str, run_id: int | None) -> tuple[int, Any, dict[str, str]]:
        if run_id is not None:
            run = self.runs.get(run_id)
            return (
                (200, run.body(), {}) if run and run.repository == repository else (404, {"message": "Not Found"}, {})
            )
        mine = [run.body() for run in reversed(self.runs.values()) if run.repository == repository]
        return 200, {"total_count": len(mine), "workflow_runs": mine[:50]}, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        github: GitHub = self.server.github  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body, headers = github.answer(self.command, self.path, self.headers, json.loads(raw or b"{}"))
        payload = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        etag = f'"{hashlib.sha256(payload).hexdigest()[:16]}"'
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status, payload = 304, b""
        github.calls.append((self.command, self.path.partition("?")[0], status))
        self.send_response(status)
        for name, value in {"ETag": etag, "X-RateLimit-Remaining": "4999", **headers}.items():
            self.send_header(name, value)
        if payload:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """No log."""


if __name__ == "__main__":
    GitHub(int(sys.argv[1])).serve()
