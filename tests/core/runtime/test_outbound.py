"""The one way out: certificates and proxy of webhooks, GitHub, Slack and single sign-on come from two settings."""

from __future__ import annotations

import asyncio
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.auth import oidc
from core.runtime import outbound
from cronsched.environment import Environment, SettingError
from executions.http.client import HttpClient, Request
from executions.http.connection import DeliveryError, Reply
from executions.targets.github import api as github_api
from jobs.targets.address_policy import TargetPolicy
from notifications.channels import slack
from settings_app.models import SlackSettings
from tests.support.certificates import self_signed
from tests.support.proxy import Proxy
from tests.support.target import Target


async def unknown(host: str, port: int) -> list[str]:
    raise OSError("no such name here")


async def inside(host: str, port: int) -> list[str]:
    return ["10.0.0.5"]


def call(url: str, *, policy: TargetPolicy | None = None, resolve: Any = unknown, trusted: bool = False) -> Reply:
    async def one() -> Reply:
        client = HttpClient(policy=policy or TargetPolicy.read(["127.0.0.0/8"]), resolve=resolve)
        try:
            return await client.send(Request("GET", url, {"Idempotency-Key": "k"}, trusted=trusted), 3)
        finally:
            await client.close()

    return asyncio.run(one())


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"ok" if self.command == "POST" else b'{"resources": {}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture
def secure(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of an HTTPS server whose certificate only `OUTBOUND_CA_FILE` makes trusted."""
    path = self_signed(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    settings.OUTBOUND_CA_FILE = str(path)
    settings.CRONSCHED_DATA_DIR = tmp_path
    outbound.tls_context.cache_clear()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    outbound.tls_context.cache_clear()


class TestCertificates:
    def test_a_webhook_behind_an_internal_authority_is_called(self, secure: str) -> None:
        async def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        assert call(secure, resolve=here).status == 200

    @pytest.mark.django_db
    def test_github_behind_it_is_dispatched_to_and_followed(self, secure: str, settings: Any) -> None:
        """The engine dispatches, requests follows: both trust the same authorities."""
        settings.GITHUB_API_URL = secure

        async def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        assert call(f"{secure}/dispatches", resolve=here, trusted=True).status == 200
        assert github_api.get("/rate_limit", "token").status_code == 200

    @pytest.mark.django_db
    def test_slack_and_single_sign_on_trust_it(self, secure: str) -> None:
        SlackSettings.objects.create(is_enabled=True, webhook_url=f"{secure}/slack")
        assert slack.post(SlackSettings.current(), "hello") == "ok"
        assert oidc.WayOut.get(f"{secure}/keys", verify=False).status_code == 200
        bundle = Path(str(outbound.ca_bundle()))
        own = Path(outbound.settings.OUTBOUND_CA_FILE).read_text()
        assert own in bundle.read_text()
        assert bundle.read_text().count("BEGIN CERTIFICATE") > 50

    def test_without_the_setting_it_is_refused(self, secure: str, settings: Any) -> None:
        settings.OUTBOUND_CA_FILE = ""
        outbound.tls_context.cache_clear()

        async def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        with pytest.raises(DeliveryError, match="certificate is not trusted"):
            call(secure, resolve=here)


class TestProxy:
    @pytest.mark.parametrize("credentials", ["", "user:p%40ss"])
    def test_http_goes_through_it(self, target: Target, settings: Any, credentials: str) -> None:
        port = target.url.rsplit(":", 1)[1]
        with Proxy(credentials.replace("%40", "@")) as proxy:
            settings.OUTBOUND_PROXY = proxy.url.replace("p@ss", "p%40ss")
            proxy.names["hooks.example.com"] = "127.0.0.1"
            assert call(f"http://hooks.example.com:{port}/ok").text == "ok"
            assert proxy.asked == [f"GET http://hooks.example.com:{port}/ok"]
        arrival = target.arrivals[0]
        assert (arrival.path, arrival.headers["Host"]) == ("/ok", f"hooks.example.com:{port}")

    def test_https_goes_through_a_tunnel(self, secure: str, settings: Any) -> None:
        with Proxy("user:pass") as proxy:
            settings.OUTBOUND_PROXY = proxy.url
            assert call(secure).status == 200
            assert proxy.asked == [f"CONNECT {secure.removeprefix('https://')}"]

    @pytest.mark.django_db
    def test_github_slack_and_single_sign_on_go_through_it(self, secure: str, settings: Any) -> None:
        SlackSettings.objects.create(is_enabled=True, webhook_url=f"{secure}/slack")
        settings.GITHUB_API_URL, settings.OIDC_OP_TOKEN_ENDPOINT = secure, f"{secure}/token"
        with Proxy() as proxy:
            settings.OUTBOUND_PROXY = proxy.url
            assert github_api.get("/rate_limit", "token").status_code == 200
            assert slack.post(SlackSettings.current(), "hello") == "ok"
            assert oidc.WayOut.post(f"{secure}/token", data={"code": "x"}).status_code == 200
            assert [one.split()[0] for one in proxy.asked] == ["CONNECT"] * 3

    def test_hosts_of_no_proxy_are_called_directly(self, target: Target, settings: Any) -> None:
        with Proxy() as proxy:
            settings.OUTBOUND_PROXY, settings.NO_PROXY = proxy.url, ["127.0.0.0/8"]
            assert call(f"{target.url}/ok").status == 200
            assert proxy.asked == []

    def test_a_literal_address_is_judged_all_the_same(self, settings: Any) -> None:
        with Proxy() as proxy:
            settings.OUTBOUND_PROXY = proxy.url
            with pytest.raises(DeliveryError, match=r"the address 10\.0\.0\.5 is not allowed"):
                call("http://10.0.0.5/", policy=TargetPolicy())
            with pytest.raises(DeliveryError, match="resolves to an address that is not allowed"):
                call("http://inside.example.com/", policy=TargetPolicy(), resolve=inside)
            assert proxy.asked == []

    def test_wrong_credentials_are_named(self, secure: str, settings: Any) -> None:
        with Proxy("user:pass") as proxy:
            settings.OUTBOUND_PROXY = proxy.url.replace("pass", "wrong")
            with pytest.raises(DeliveryError, match="407; check the credentials in OUTBOUND_PROXY") as caught:
                call(secure)
            assert "wrong" not in str(caught.value)
            assert caught.value.failure == "connect"

    def test_a_proxy_that_is_away_is_named(self, settings: Any) -> None:
        settings.OUTBOUND_PROXY = "http://127.0.0.1:1"
        with pytest.raises(DeliveryError, match="the outbound proxy cannot be reached"):
            call("http://hooks.example.com/")


@pytest.mark.parametrize(
    ("host", "entries", "is_direct"),
    [
        ("a.corp.example.com", [".corp.example.com"], True),
        ("corp.example.com", ["*.corp.example.com"], True),
        ("evilcorp.example.com", ["corp.example.com"], False),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("[::1]", ["::1"], True),
        ("anything", ["*"], True),
        ("a.example.com", [], False),
    ],
)
def test_no_proxy(host: str, entries: list[str], is_direct: bool, settings: Any) -> None:
    settings.OUTBOUND_PROXY, settings.NO_PROXY = "http://proxy.example.com:3128", entries
    assert (outbound.proxy_for(host) is None) == is_direct


@pytest.mark.parametrize(
    "value", ["proxy", "https://p.example.com", "http://", "http://p:x", "socks5://p:1", "http://p/x"]
)
def test_a_proxy_that_cannot_be_used_stops_the_start(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OUTBOUND_PROXY", value)
    with pytest.raises(SettingError, match="OUTBOUND_PROXY cannot be used; write http://host:port"):
        Environment(tmp_path / ".env").proxy("OUTBOUND_PROXY")


def test_certificates_that_cannot_be_read_stop_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for value in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        monkeypatch.setenv("OUTBOUND_CA_FILE", str(value))
        with pytest.raises(SettingError, match=r"OUTBOUND_CA_FILE=.* cannot be read; name a file"):
            Environment(tmp_path / ".env").certificates("OUTBOUND_CA_FILE")
