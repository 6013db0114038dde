"""Client certificates (mTLS) and certificate authorities of a credential, against a TLS server on loopback."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from executions.models import Status
from jobs.models import Job
from settings_app.models import WebhookCredential
from tests.executions.targets.webhook.test_requests import run
from tests.support.certificates import self_signed

pytestmark = pytest.mark.django_db(transaction=True)
MakeJob = Callable[..., Job]


def parts(pem: Path) -> dict[str, str]:
    """Key and certificate of a file."""
    key, certificate = re.findall(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----\n", pem.read_text(), re.DOTALL)
    return {"key": key, "certificate": certificate}


class Server(ThreadingHTTPServer):
    """Asks for a client certificate; `names` are those of the certificates that came."""

    daemon_threads = True

    def __init__(self, own: Path, trusted: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.names: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        context.load_verify_locations(trusted)
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers without a certificate are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        subject: Any = (self.connection.getpeercert() or {})["subject"]
        self.server.names.append(subject[0][0][1])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    self_signed(tmp_path, "cronsched")
    with Server(self_signed(tmp_path, "localhost"), tmp_path / "cronsched.pem") as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def credential(tmp_path: Path, server: Server) -> Callable[..., WebhookCredential]:
    def make(**changes: str) -> WebhookCredential:
        mine = parts(tmp_path / "cronsched.pem")
        fields = {
            "kind": "certificate",
            "client_certificate": mine["certificate"],
            "client_key": mine["key"],
            "ca_certificates": parts(tmp_path / "localhost.pem")["certificate"],
            **changes,
        }
        return WebhookCredential.objects.create(name="mtls", allowed_hosts="localhost", **fields)

    return make


def test_the_certificate_is_shown_to_the_server(
    make_job: MakeJob, server: Server, credential: Callable[..., WebhookCredential]
) -> None:
    credential()
    job = make_job(target_url=server.url, webhook_credential="mtls", metadata={"a": 1})
    assert [run(job).status, run(job).status] == [Status.SUCCESS] * 2
    assert server.names == ["cronsched"] * 2


def test_without_a_certificate_the_server_refuses(
    make_job: MakeJob, server: Server, credential: Callable[..., WebhookCredential]
) -> None:
    credential(kind="bearer", secret="t0ken", client_certificate="", client_key="")
    execution = run(make_job(target_url=server.url, webhook_credential="mtls", metadata={"a": 1}))
    assert (execution.status, server.names) == (Status.FAILED, [])


def test_an_unknown_authority_is_not_trusted(
    make_job: MakeJob, server: Server, credential: Callable[..., WebhookCredential]
) -> None:
    credential(ca_certificates="")
    execution = run(make_job(target_url=server.url, webhook_credential="mtls", metadata={"a": 1}))
    assert (execution.status, server.names) == (Status.FAILED, [])
    assert "certificate" in execution.error_message


def test_a_connection_with_a_certificate_is_for_its_credential_alone(
    make_job: MakeJob, server: Server, credential: Callable[..., WebhookCredential]
) -> None:
    credential()
    assert run(make_job(target_url=server.url, webhook_credential="mtls", metadata={"a": 1})).status == Status.SUCCESS
    execution = run(make_job(name="Plain", target_url=server.url, metadata={"a": 1}))
    assert (execution.status, server.names) == (Status.FAILED, ["cronsched"])
