"""Attacks below HTTP: half requests, odd framing, headers that proxies set, and clients that do not read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cronsched import web_worker
from cronsched.web_worker import Channel
from tests.support.contract import make_job, team, unique
from tests.support.installation import Installation
from tests.support.target import Target

HEAD = b"Host: 127.0.0.1\r\n"


def ask(installation: Installation, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of their own; status, headers and body of the first answer."""
    with socket.create_connection(("127.0.0.1", installation.port), 10) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    # Without the frames of a chunked answer.
    return int(lines[0].split()[1]) if answer else 0, headers, body[body.find(b"{") : body.rfind(b"}") + 1]


@contextmanager
def holding(installation: Installation, count: int, raw: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        held = []
        for _number in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", installation.port), 10))
            sock.sendall(raw)
            held.append(sock)
        yield held


class TestSlowClients:
    """With eight threads; 150 idle half-requests took the service away."""

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"X-A: ",
            b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n{",
            b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        ],
        ids=["silence", "half a head", "half a body", "half a chunk"],
    )
    def test_others_are_answered(self, installation: Installation, raw: bytes) -> None:
        admin = installation.admin
        with holding(installation, 200, raw):
            for path in ("/health", "/jobs", "/auth/me"):
                began = time.monotonic()
                assert admin.get(path).status_code == 200
                assert time.monotonic() - began < 20

    def test_who_does_not_read_holds_no_thread(self, installation: Installation) -> None:
        admin = installation.admin
        with holding(installation, 0, b"") as held, ExitStack() as stack:
            for _number in range(40):
                sock = stack.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                sock.connect(("127.0.0.1", installation.port))
                sock.sendall(b"GET /api/v2/openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n")
                held.append(sock)
            assert admin.get("/health").status_code == 200

    def test_nor_who_tries_a_target_that_is_slow(self, installation: Installation, target: Target) -> None:
        """More test runs than threads wait for their targets; each is made once, and answered."""
        password = "quite unguessable 5"
        people = [f"tester{number}" for number in range(12)]
        for name in people:
            body = {"username": name, "email": f"{name}@example.com", "password": password, "role": "user"}
            assert installation.admin.post("/auth/register", json=body).status_code == 201
        clients = [installation.login(name, password) for name in people]
        with ThreadPoolExecutor(len(clients)) as pool:
            body = {"target_url": f"{target.url}/sleep?s=25", "metadata": {"n": 1}, "timeout_seconds": 30}
            under_way = [pool.submit(one.post, "/jobs/test-run", json=body, timeout=30) for one in clients]
            target.wait_for(len(clients))
            began = time.monotonic()
            assert installation.admin.get("/jobs").status_code == 200
            assert time.monotonic() - began < 20
            assert not any(one.done() for one in under_way)
            target.released.set()
            answers = [one.result() for one in under_way]
        assert [(one.status_code, one.json()["ok"]) for one in answers] == [(200, True)] * len(clients)
        assert [one.json for one in target.arrivals] == [{"n": 1}] * len(clients)
        noted = (
            "from audit.models import ChangeRecord; "
            "print(ChangeRecord.objects.filter(kind='test run', by_email__startswith='tester').count())"
        )
        assert int(installation.python(noted)) == len(clients)

    @pytest.mark.long
    def test_a_stop_waits_for_no_client(self, tmp_path: Path, target: Target) -> None:
        """A half request and a test run under way leave the web process the time to store its manual runs."""
        env = {"ENGINE_DRAIN_SECONDS": "3"}
        with Installation(tmp_path, schedulers=0, env=env) as own, ThreadPoolExecutor(1) as pool:
            team(own.admin)
            job = make_job(own.admin, target_url=f"{target.url}/sleep?s=25")
            execution = own.admin.post(f"/jobs/{job['id']}/execute").json()["execution_id"]
            body = {"target_url": f"{target.url}/sleep?s=25"}
            tried = pool.submit(own.admin.post, "/jobs/test-run", json=body)
            target.wait_for(2)
            with holding(own, 2, b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\n{"):
                own.processes["web"].terminate()
                assert own.processes["web"].wait(15) == 0
            assert "stopped before an answer came" in tried.result(5).json()["message"]
            read = f"from executions.models import Execution; print(Execution.objects.get(pk='{execution}').status)"
            assert own.python(read).strip() == "failed"

    @pytest.mark.long
    def test_a_login_that_ends_meanwhile_loses_no_answer(self, tmp_path: Path, target: Target) -> None:
        """A client that got 401 would call the target a second time."""
        with Installation(tmp_path, schedulers=0, env={"JWT_ACCESS_TOKEN_EXPIRES": "3"}) as own:
            body = {"target_url": f"{target.url}/sleep?s=7"}
            answer = own.admin.post("/jobs/test-run", json=body)
            assert (answer.status_code, answer.json()["ok"]) == (200, True)
            assert answer.headers["Cache-Control"] == "no-store"
            assert own.admin.get("/auth/me").status_code == 401

    def test_nor_who_asks_for_everything_at_once(self, installation: Installation) -> None:
        """A hundred requests in one packet, for large answers that are not read."""
        admin = installation.admin
        large = b"GET /api/v2/openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n"
        with holding(installation, 30, large * 60):
            assert admin.get("/health").status_code == 200

    @pytest.mark.parametrize("size", [6 * 2**20, 19 * 2**20])
    def test_a_large_body_is_for_uploads_only(self, installation: Installation, size: int) -> None:
        for path, status in (("/auth/login", 413), ("/jobs/bulk-upload", 400)):
            answer = installation.admin.post(path, data=b"x" * size, headers={"Content-Type": "application/json"})
            assert answer.status_code in {status, 413 if size > 5 * 2**20 else status}
            assert {"error", "message"} <= set(answer.json())

    def test_a_chunked_one_too(self, installation: Installation) -> None:
        def chunks() -> Iterator[bytes]:
            for _number in range(70):
                yield b"x" * 100_000

        answer = installation.anyone.post("/auth/login", data=chunks())
        assert (answer.status_code, answer.json()["error"]) == (413, "Body too large")


class TestDeadlines:
    def channel(self, **state: Any) -> Any:
        given = {"request": None, "requests": [], "total_outbufs_len": 0, "reading_since": 0.0, "writing_since": 0.0}
        return SimpleNamespace(**{**given, **state})

    def test_a_head_and_a_body_have_their_time(self) -> None:
        head = self.channel(request=SimpleNamespace(headers_finished=False), reading_since=100.0)
        assert not Channel.is_overdue(head, 100 + web_worker.HEAD_SECONDS - 1)
        assert Channel.is_overdue(head, 100 + web_worker.HEAD_SECONDS + 1)
        body = self.channel(request=SimpleNamespace(headers_finished=True), reading_since=100.0)
        assert not Channel.is_overdue(body, 100 + web_worker.HEAD_SECONDS + 1)
        assert Channel.is_overdue(body, 100 + web_worker.BODY_SECONDS + 1)

    def test_nothing_is_read_while_a_request_is_worked_on(self) -> None:
        half = SimpleNamespace(headers_finished=False)
        channel = self.channel(request=half, requests=[object()], reading_since=1.0)
        assert not Channel.is_overdue(channel, 1000.0)
        channel.requests = []
        assert not Channel.is_overdue(channel, 1001.0)
        assert Channel.is_overdue(channel, 1000.0 + web_worker.HEAD_SECONDS + 1)

    def test_an_answer_has_its_time_to_be_taken(self) -> None:
        channel = self.channel(total_outbufs_len=5)
        assert not Channel.is_overdue(channel, 100.0)
        assert not Channel.is_overdue(channel, 100.0 + web_worker.ANSWER_SECONDS - 1)
        assert Channel.is_overdue(channel, 100.0 + web_worker.ANSWER_SECONDS + 1)
        channel.total_outbufs_len = 0
        assert not Channel.is_overdue(channel, 1e9)


class TestFraming:
    @pytest.mark.parametrize(
        ("raw", "statuses"),
        [
            (b"GET /api/v2/health HTTP/1.1\r\n\r\n", {400}),
            (b"GET /api/v2/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {200, 400}),
            (b"GET /api/v2/jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
            (b"nonsense\r\n\r\n", {400}),
            (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", {400}),
            (b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 33_000 + b"\r\n\r\n", {431}),
            (b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", {431}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD
             + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", {400}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: +5\r\n\r\n{}   ", {400}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: -5\r\n\r\n{}", {400}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999\r\n\r\n{}", {413}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD
             + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", {400, 501}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
            (b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", {400}),
            (b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"A: b\x00c\r\n\r\n", {400}),
            (b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"A: b\r\n folded\r\n\r\n", {200, 400}),
        ],
    )  # fmt: skip
    def test_what_is_no_request_is_refused_in_the_apis_shape(
        self, installation: Installation, raw: bytes, statuses: set[int]
    ) -> None:
        status, headers, body = ask(installation, raw)
        assert status in statuses
        assert headers["content-type"].startswith("application/json")
        if status != 200:
            assert {"error", "message"} <= set(json.loads(body))

    def test_no_answer_says_which_server_it_is(self, installation: Installation) -> None:
        _, headers, _ = ask(installation, b"GET /api/v2/health HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert "server" not in headers

    def test_a_chunked_body_is_read(self, installation: Installation) -> None:
        head = b"POST /api/v2/auth/login HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
        status, _, body = ask(installation, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert (status, json.loads(body)["error"]) == (400, "Missing credentials")


@pytest.fixture(scope="module")
def token(installation: Installation) -> str:
    answer = installation.admin.post("/auth/tokens", json={"name": unique("wire"), "scope": "write"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


class TestHeadersOfProxies:
    """A client writes what it likes; nothing of it moves an address, or says who or where the client is."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"SCRIPT_NAME": "/zzz"}, {"Script-Name": "/zzz"}, {"PATH_INFO": "/api/v2/auth/register"},
            {"X-Original-URL": "/api/v2/auth/register"}, {"X-Rewrite-URL": "/api/v2/auth/register"},
            {"X-Forwarded-Prefix": "/zzz"}, {"X-HTTP-Method-Override": "PUT"}, {"Remote-User": "admin"},
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("path", ["/api/v2/auth/register", "/zzz/api/v2/auth/register", "//api/v2/auth/register",
                                      "/./api/v2/auth/register", "/api/v2/%61uth/register",
                                      "/api/v2/jobs/../auth/register"])  # fmt: skip
    def test_a_write_token_makes_no_account(
        self, installation: Installation, headers: dict[str, str], path: str, token: str
    ) -> None:
        body = json.dumps({"username": "mallory", "email": "m@example.com", "password": "Mallory-pass-999"})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{lines}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        assert ask(installation, raw.encode())[0] in {403, 404}

    def test_an_absolute_target_is_the_same_address(self, installation: Installation, token: str) -> None:
        raw = "POST http://evil.example/api/v2/auth/register HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        assert (
            ask(installation, f"{raw}Authorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}".encode())[0] == 403
        )
