"""The server of the stand-in: GitHub's addresses and what they answer."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import io
import itertools
import json
import re
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import requests

from demo.github_stand_in import inputs
from demo.github_stand_in.limits import Answer, RateLimits
from demo.github_stand_in.runs import CONCLUSIONS, DISPLACED, ENDLESS, Run, annotation

_FILE = re.compile(r"([a-z_]+)(?:-(\d+))?\.ya?ml")
_DEFAULT_SECONDS = 3.0
_LIMIT = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999"}
_NOT_FOUND: Answer = (404, {"message": "Not Found"}, {})
_DOCS = "https://docs.github.com/rest"
# A key: a repository and the name of a workflow file.
Key = tuple[str, str]


class GitHub:
    """The server. `knows_run_details` is False for an older Enterprise server; `fail_next` holds the next answers,
    `fail_for` those to paths with this end; `files` holds workflow files by name, `all_files` those of repositories.
    `now` gives Unix time.

    `states`: workflows that are not active (GitHub REST, "Get a workflow": `disabled_inactivity`,
    `disabled_manually`). `groups`: the concurrency group of a workflow. `renamed`: repositories by their old names
    (GitHub REST, "Follow redirects"). `default_branches`: those that are not `main`. `hook`: the address and the secret
    of a webhook for `workflow_run` events (GitHub, "Validating webhook deliveries").
    """

    def __init__(self, port: int = 0, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.knows_run_details = True
        self.revoked = {"revoked"}
        self.fail_next: list[tuple[int, dict[str, str]]] = []
        self.fail_for: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.calls: list[tuple[str, str, int]] = []
        self.limits = RateLimits()
        self.runs: dict[int, Run] = {}
        self.files: dict[str, str] = {}
        self.all_files: dict[Key, str] = {}
        self.states: dict[Key, str] = {}
        self.groups: dict[Key, str] = {}
        self.renamed: dict[str, str] = {}
        self.gone: set[str] = set()
        self.default_branches: dict[str, str] = {}
        self.hook: tuple[str, str] | None = None
        # The message with which dispatches are refused (422), such as "No ref found for: main".
        self.refusal = ""
        # The branches that dispatches find; None is all.
        self.branches: set[str] | None = None
        # The names of the jobs that fail in a run that fails, what is annotated in each of them, and its log.
        self.failing_jobs = ["e2e (chrome)"]
        self.annotations: Any = [
            annotation("tests/e2e/login.spec.ts", 41, "Timed out 5000ms waiting for expect(locator).toBeVisible()"),
            annotation(".github", 1, "Process completed with exit code 1."),
        ]
        self.log: str | bytes = "".join(
            f"2026-11-26T00:00:{number % 60:02}.0000000Z line {number}\n" for number in range(80)
        )
        # The artifacts of each run: bytes by name.
        self.artifacts: dict[str, bytes] = {}
        self.repositories = [
            {"full_name": "acme/shop", "permissions": {"push": True}},
            {"full_name": "acme/docs", "permissions": {"push": False}},
        ]
        self._ids = itertools.count(1_000_000_001)
        self._lock = threading.Lock()
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

    @property
    def _storage(self) -> str:
        """Another origin than the API's, as GitHub's storage is."""
        return f"http://localhost:{self._server.server_address[1]}/_storage"

    def tell(self, run: Run, *, delivery: str = "", secret: str = "") -> requests.Response:
        """Deliver the webhook event of a run's state (GitHub, "Webhook events and payloads: workflow_run")."""
        assert self.hook
        address, own = self.hook
        state = run.body()
        action = "completed" if state["status"] == "completed" else "in_progress"
        body = json.dumps(
            {"action": action, "workflow_run": state, "repository": {"full_name": run.repository}}
        ).encode()
        signature = hmac.new((secret or own).encode(), body, hashlib.sha256).hexdigest()
        return requests.post(
            address,
            data=body,
            headers={
                "Content-Type": "application/json",
                "X-GitHub-Event": "workflow_run",
                "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
                "X-Hub-Signature-256": f"sha256={signature}",
            },
            timeout=10,
        )

    def answer(self, method: str, path: str, headers: Any, body: dict[str, Any]) -> Answer:
        """Status, body and headers of the answer to one request."""
        route, _, query = path.partition("?")
        mine = next((answers for end, answers in self.fail_for.items() if route.endswith(end)), self.fail_next)
        if mine:
            status, more = mine.pop(0)
            return status, {"message": "API rate limit exceeded" if status in {403, 429} else "Server Error"}, more
        if route.startswith("/_storage/"):
            return self._stored(route, headers)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if not token or token in self.revoked:
            return 401, {"message": "Bad credentials"}, {}
        with self._lock:
            refused = self.limits.refusal(token, is_dispatch=route.endswith("/dispatches"), now=self._now())
            if refused:
                return refused
            if moved := self._moved(route):
                location = f"{self.url}{moved}" + (f"?{query}" if query else "")
                return 301 if method == "GET" else 307, {"message": "Moved Permanently"}, {"Location": location}
            return self._routed(method, route, parse_qs(query), body)

    def _routed(self, method: str, route: str, query: dict[str, list[str]], body: dict[str, Any]) -> Answer:
        for wanted, pattern, work in _ROUTES:
            if method == wanted and (found := re.fullmatch(pattern, route)):
                if "repo" in found.groupdict() and found["repo"] in self.gone:
                    return _NOT_FOUND
                given = {name: value for name, value in found.groupdict().items() if name != "repo"}
                repo = {"repo": found["repo"]} if "repo" in found.groupdict() else {}
                answer: Answer = work(self, query=query, body=body, **repo, **given)
                return answer
        return _NOT_FOUND

    def _moved(self, route: str) -> str:
        parts = route.split("/")
        new = self.renamed.get("/".join(parts[2:4])) if len(parts) > 3 and parts[1] == "repos" else None
        return "/".join(["", "repos", new, *parts[4:]]) if new else ""

    def _dispatch(self, repo: str, workflow: str, body: dict[str, Any], **_: Any) -> Answer:
        """GitHub REST, "Create a workflow dispatch event"."""
        found = _FILE.fullmatch(workflow)
        conclusions = found[1].split("_then_") if found else []
        if found is None or not set(conclusions) <= CONCLUSIONS | ENDLESS:
            return _NOT_FOUND
        if not isinstance(body.get("ref"), str):
            return 422, {"message": 'Invalid request. "ref" wasn\'t supplied.'}, {}
        if self.refusal:
            return 422, {"message": self.refusal, "documentation_url": _DOCS}, {}
        if self.branches is not None and body["ref"] not in self.branches:
            return 422, {"message": f"No ref found for: {body['ref']}", "documentation_url": _DOCS}, {}
        if self.states.get((repo, workflow), "active") != "active":
            return 422, {"message": "Cannot trigger a 'workflow_dispatch' on a disabled workflow"}, {}
        if refusal := inputs.refusal(self.all_files.get((repo, workflow)), body.get("inputs")):
            return 422, {"message": refusal, "documentation_url": _DOCS}, {}
        wants = "return_run_details" in body
        if wants and not self.knows_run_details:
            return 422, {"message": 'Invalid request. "return_run_details" is not a permitted key.'}, {}
        run = self._new_run(repo, workflow, conclusions, float(found[2]) if found[2] else _DEFAULT_SECONDS)
        run.branch = body["ref"]
        if not (wants and body["return_run_details"]):
            return 204, None, {}
        told = run.body()
        return 200, {"workflow_run_id": run.id, "run_url": told["url"], "html_url": told["html_url"]}, {}

    def _new_run(self, repo: str, workflow: str, conclusions: list[str], seconds: float) -> Run:
        run = Run(next(self._ids), repo, workflow, conclusions[0], seconds, self.url, self._now, conclusions)
        run.artifacts = dict(self.artifacts)
        run.group = self.groups.get((repo, workflow), "")
        if run.group:
            # One run of a group at a time, and one that waits (GitHub, "Control the concurrency of workflows").
            alive = [one for one in self.runs.values() if one.group == run.group and not one.is_over]
            for one in alive:
                if one.status == "pending":
                    one.displace()
            run.after = next((one for one in alive if not one.is_over), None)
        self.runs[run.id] = run
        return run

    def _one(self, repo: str, run_id: str) -> Run | None:
        run = self.runs.get(int(run_id))
        return (
            run
            if run and run.repository in {repo, *(old for old, new in self.renamed.items() if new == repo)}
            else (None)
        )

    def _run(self, repo: str, run_id: str, **_: Any) -> Answer:
        """GitHub REST, "Get a workflow run"."""
        run = self._one(repo, run_id)
        return (200, run.body(), {}) if run else _NOT_FOUND

    def _listed(self, repo: str, query: dict[str, list[str]], **_: Any) -> Answer:
        """GitHub REST, "List workflow runs for a repository": the newest first, in pages, by `event` and `created`."""
        mine = [run for run in reversed(self.runs.values()) if self._one(repo, str(run.id))]
        created = query.get("created", [""])[0]
        since, _dots, until = created.removeprefix(">=").partition("..")
        if since:
            mine = [run for run in mine if run.created >= dt.datetime.fromisoformat(since).timestamp()]
        if until:
            mine = [run for run in mine if run.created <= dt.datetime.fromisoformat(until).timestamp()]
        if event := query.get("event", [""])[0]:
            mine = [run for run in mine if run.event == event]
        size, page = min(100, int(query.get("per_page", ["30"])[0])), int(query.get("page", ["1"])[0])
        shown = [run.body() for run in mine[(page - 1) * size : page * size]]
        return 200, {"total_count": len(mine), "workflow_runs": shown}, {}

    def _cancel(self, repo: str, run_id: str, **_: Any) -> Answer:
        """GitHub REST, "Cancel a workflow run"."""
        run = self._one(repo, run_id)
        if run is None:
            return _NOT_FOUND
        if run.is_over:
            return 409, {"message": "Cannot cancel a workflow run that is completed."}, {}
        run.conclusion, run.seconds, run.after = "cancelled", self._now() - run.began, None
        return 202, {}, {}

    def _again(self, repo: str, run_id: str, **_: Any) -> Answer:
        """GitHub REST, "Re-run failed jobs from a workflow run"."""
        run = self._one(repo, run_id)
        if run is None:
            return _NOT_FOUND
        if not run.is_over:
            return 403, {"message": "This workflow is already running"}, {}
        run.run_again()
        return 201, {}, {}

    def _jobs(self, repo: str, run_id: str, **_: Any) -> Answer:
        """GitHub REST, "List jobs for a workflow run"."""
        run = self._one(repo, run_id)
        if run is None:
            return _NOT_FOUND
        jobs = run.jobs(self.failing_jobs)
        return 200, {"total_count": len(jobs), "jobs": jobs}, {}

    def _annotations(self, check_id: str, **_: Any) -> Answer:
        """GitHub REST, "List check run annotations"."""
        run = self.runs.get(int(check_id) // 100)
        if run and run.is_displaced:
            return 200, [annotation(".github", 1, DISPLACED.format(run.group))], {}
        return 200, self.annotations, {}

    def _log(self, job_id: str, **_: Any) -> Answer:
        """GitHub REST, "Download job logs for a workflow run": a redirect to storage, which takes no token."""
        return 302, None, {"Location": f"{self._storage}/log/{job_id}"}

    def _logs(self, repo: str, run_id: str, **_: Any) -> Answer:
        """GitHub REST, "Download workflow run logs" and "Download workflow run attempt logs": a redirect to an archive
        with a file for each job.
        """
        if self._one(repo, run_id) is None:
            return _NOT_FOUND
        return 302, None, {"Location": f"{self._storage}/logs/{run_id}"}

    def _artifacts(self, repo: str, run_id: str, query: dict[str, list[str]], **_: Any) -> Answer:
        """GitHub REST, "List workflow run artifacts"."""
        run = self._one(repo, run_id)
        if run is None:
            return _NOT_FOUND
        wanted = query.get("name", [""])[0]
        found = [
            {"id": 1000 * run.id + number, "name": name, "size_in_bytes": len(content), "expired": False}
            for number, (name, content) in enumerate(run.artifacts.items())
            if not wanted or name == wanted
        ]
        return 200, {"total_count": len(found), "artifacts": found}, {}

    def _artifact(self, artifact_id: str, **_: Any) -> Answer:
        """GitHub REST, "Download an artifact": a redirect to storage, which takes no token."""
        return 302, None, {"Location": f"{self._storage}/artifact/{artifact_id}"}

    def _stored(self, route: str, headers: Any) -> Answer:
        if "Authorization" in headers:
            return 400, {"message": "InvalidAuthenticationInfo"}, {}
        _, _, kind, number = route.split("/")
        if kind == "log":
            return 200, self.log, {}
        if kind == "logs":
            jobs = self.runs[int(number)].jobs(self.failing_jobs)
            return 200, zipped({f"{place}_{job['name']}.txt": self.log for place, job in enumerate(jobs)}), {}
        run = self.runs.get(int(number) // 1000)
        contents = list(run.artifacts.values()) if run else []
        place = int(number) % 1000
        return (200, contents[place], {}) if place < len(contents) else _NOT_FOUND

    def _workflow(self, repo: str, workflow: str, **_: Any) -> Answer:
        """GitHub REST, "Get a workflow"."""
        known = _FILE.fullmatch(workflow) or workflow in self.files or (repo, workflow) in self.all_files
        state = self.states.get((repo, workflow), "active")
        path = f".github/workflows/{workflow}"
        return (200, {"id": 1, "path": path, "name": workflow, "state": state}, {}) if known else _NOT_FOUND

    def _workflows(self, repo: str, **_: Any) -> Answer:
        """GitHub REST, "List repository workflows"."""
        found = [self._workflow(repo, name)[1] for owner, name in self.all_files if owner == repo]
        return 200, {"total_count": len(found), "workflows": found}, {}

    def _enable(self, repo: str, workflow: str, **_: Any) -> Answer:
        """GitHub REST, "Enable a workflow"."""
        self.states.pop((repo, workflow), None)
        return 204, None, {}

    def _file(self, repo: str, workflow: str, **_: Any) -> Answer:
        """GitHub REST, "Get repository content", as raw text."""
        text = self.all_files.get((repo, workflow), self.files.get(workflow))
        return (200, text, {}) if text is not None else _NOT_FOUND

    def _folder(self, repo: str, **_: Any) -> Answer:
        """GitHub REST, "Get repository content", of a folder."""
        names = [name for owner, name in self.all_files if owner == repo]
        found = [{"name": name, "path": f".github/workflows/{name}", "type": "file"} for name in names]
        return (200, found, {}) if found else _NOT_FOUND

    def _repository(self, repo: str, **_: Any) -> Answer:
        """GitHub REST, "Get a repository"."""
        branch = self.default_branches.get(repo, "main")
        return 200, {"full_name": repo, "default_branch": branch, "permissions": {"push": True}}, {}

    def _branches(self, repo: str, **_: Any) -> Answer:
        """GitHub REST, "List branches"."""
        names = [self.default_branches.get(repo, "main"), "release/2"]
        return 200, [{"name": name} for name in names], {}

    def _environments(self, **_: Any) -> Answer:
        """GitHub REST, "List environments"."""
        return 200, {"total_count": 1, "environments": [{"name": "staging"}]}, {}

    def _token(self, **_: Any) -> Answer:
        """GitHub REST, "Create an installation access token for an app"."""
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        return 201, {"token": f"ghs_{len(self.calls)}", "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}, {}

    def _page(self, rows: list[Any], query: dict[str, list[str]]) -> list[Any]:
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        return rows[(page - 1) * size : page * size]

    def _installed(self, query: dict[str, list[str]], **_: Any) -> Answer:
        """GitHub REST, "List repositories accessible to the app installation"."""
        shown = self._page(self.repositories, query)
        return 200, {"total_count": len(self.repositories), "repositories": shown}, {}

    def _rate_limit(self, **_: Any) -> Answer:
        """GitHub REST, "Get rate limit status for the authenticated user"."""
        reset = int(self._now()) + 3600
        return 200, {"resources": {"core": {"limit": 5000, "remaining": 4999, "reset": reset}}}, {}

    def _reached(self, query: dict[str, list[str]], **_: Any) -> Answer:
        """GitHub REST, "List repositories for the authenticated user"; its headers tell the expiry of the token."""
        expiry = {"github-authentication-token-expiration": "2099-01-31 09:00:00 +0900", "X-OAuth-Scopes": "repo"}
        return 200, self._page(self.repositories, query), expiry


_REPO = r"/repos/(?P<repo>[^/]+/[^/]+)"
_RUN = rf"{_REPO}/actions/runs/(?P<run_id>\d+)"
_WORKFLOW = rf"{_REPO}/actions/workflows/(?P<workflow>[^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("POST", rf"{_WORKFLOW}/dispatches", GitHub._dispatch),
    ("GET", rf"{_REPO}/actions/workflows", GitHub._workflows),
    ("GET", _WORKFLOW, GitHub._workflow),
    ("PUT", rf"{_WORKFLOW}/enable", GitHub._enable),
    ("GET", rf"{_REPO}/actions/runs", GitHub._listed),
    ("GET", _RUN, GitHub._run),
    ("GET", rf"{_RUN}/jobs", GitHub._jobs),
    ("GET", rf"{_RUN}(?:/attempts/\d+)?/logs", GitHub._logs),
    ("GET", rf"{_RUN}/artifacts", GitHub._artifacts),
    ("POST", rf"{_RUN}/cancel", GitHub._cancel),
    ("POST", rf"{_RUN}/rerun(?:-failed-jobs)?", GitHub._again),
    ("GET", rf"{_REPO}/actions/jobs/(?P<job_id>\d+)/logs", GitHub._log),
    ("GET", rf"{_REPO}/actions/artifacts/(?P<artifact_id>\d+)/zip", GitHub._artifact),
    ("GET", rf"{_REPO}/check-runs/(?P<check_id>\d+)/annotations", GitHub._annotations),
    ("GET", rf"{_REPO}/contents/\.github/workflows/(?P<workflow>[^/]+)", GitHub._file),
    ("GET", rf"{_REPO}/contents/\.github/workflows", GitHub._folder),
    ("GET", rf"{_REPO}/branches", GitHub._branches),
    ("GET", rf"{_REPO}/environments", GitHub._environments),
    ("GET", _REPO, GitHub._repository),
    ("POST", r"/app/installations/(?P<installation>[^/]+)/access_tokens", GitHub._token),
    ("GET", r"/installation/repositories", GitHub._installed),
    ("GET", r"/user/repos", GitHub._reached),
    ("GET", r"/rate_limit", GitHub._rate_limit),
)


def zipped(files: dict[str, str | bytes]) -> bytes:
    """A zip archive of files by name, as artifacts are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        github: GitHub = self.server.github  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        github.limits.begin()
        try:
            status, body, headers = github.answer(self.command, self.path, self.headers, json.loads(raw or b"{}"))
        finally:
            github.limits.end()
        is_raw = isinstance(body, bytes)
        payload = body if is_raw else b"" if body is None else body if isinstance(body, str) else json.dumps(body)
        payload = payload.encode() if isinstance(payload, str) else payload
        etag = f'"{hashlib.sha256(payload).hexdigest()[:16]}"'
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status, payload = 304, b""
        github.calls.append((self.command, self.path.partition("?")[0], status))
        self.send_response(status)
        for name, value in {"ETag": etag, **_LIMIT, **headers}.items():
            self.send_header(name, value)
        if payload:
            self.send_header("Content-Type", "application/zip" if is_raw else "application/json; charset=utf-8")
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_PUT = do_GET

    def log_message(self, *args: Any) -> None:
        """No log."""
