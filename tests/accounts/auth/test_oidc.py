"""Single sign-on by OpenID Connect, against a provider on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from core.version import __version__
from tests.support.installation import Installation, free_port
from tests.support.target import Target


class Provider:
    """An OpenID provider on loopback that admits whoever `claims` says."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        # What the ID token says otherwise than it should; None leaves a claim out.
        self.forged: dict[str, Any] = {}
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.nonce = ""
        self.challenge = ""
        self.agents: set[str] = set()
        # What is answered in place of a path's answer: status, headers, body.
        self.instead: dict[str, tuple[int, dict[str, str], bytes]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(provider.key.public_key()))
                self.answer(
                    provider.claims if self.path == "/user" else {"keys": [{**public, "kid": "k", "alg": "RS256"}]}
                )

            def do_POST(self) -> None:
                sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                assert sent["client_secret"] == ["the secret"]
                assert sent["code_verifier"]
                now = int(time.time())
                told = {
                    **provider.claims,
                    "aud": "cronsched",
                    "nonce": provider.nonce,
                    "iat": now,
                    "exp": now + 60,
                    "iss": provider.url,
                    **provider.forged,
                }
                told = {name: value for name, value in told.items() if value is not None}
                token = jwt.encode(told, provider.key, algorithm="RS256", headers={"kid": "k"})
                self.answer({"access_token": "a", "id_token": token, "token_type": "Bearer"})

            def answer(self, body: Any) -> None:
                provider.agents.add(str(self.headers["User-Agent"]))
                status, headers, raw = provider.instead.get(self.path, (200, {}, json.dumps(body).encode()))
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.close()


@pytest.fixture(scope="module")
def connected(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("sso")
    env = {
        "OIDC_CLIENT_ID": "cronsched", "OIDC_CLIENT_SECRET": "the secret",
        "OIDC_AUTHORIZATION_URL": provider.url + "/authorize",
        "OIDC_TOKEN_URL": provider.url + "/token", "OIDC_USER_URL": provider.url + "/user",
        "OIDC_KEYS_URL": provider.url + "/keys", "OIDC_ROLE": "viewer",
    }  # fmt: skip
    with Installation(folder, schedulers=0, env=env) as running:
        yield running


def signed_in(installation: Installation, provider: Provider, **claims: Any) -> tuple[requests.Session, str]:
    """A browser that comes back from the provider, and where it lands."""
    provider.claims = {"sub": str(claims.get("email")), "email_verified": True, **claims}
    session = requests.Session()
    session.trust_env = False
    login = session.get(installation.base + "/admin/login/?next=/admin/jobs/job/")
    assert "Sign in with single sign-on" in login.text
    there = session.get(installation.base + "/oidc/authenticate/?next=/admin/jobs/job/", allow_redirects=False).headers[
        "Location"
    ]
    asked = parse_qs(urlsplit(there).query)
    assert there.startswith(provider.url + "/authorize")
    assert asked["code_challenge_method"] == ["S256"]
    provider.nonce = asked["nonce"][0]
    back = f"{installation.base}/oidc/callback/?code=c&state={asked['state'][0]}"
    return session, session.get(back, allow_redirects=False).headers.get("Location", "")


class TestSingleSignOn:
    def test_an_account_is_found_by_its_verified_address(self, connected: Installation, provider: Provider) -> None:
        session, place = signed_in(connected, provider, email="Admin@Example.com")
        assert place == "/admin/jobs/job/"
        assert session.get(connected.base + place).status_code == 200
        assert provider.agents == {f"Cronsched/{__version__}"}

    def test_who_is_new_gets_the_role_of_the_settings(self, connected: Installation, provider: Provider) -> None:
        session, place = signed_in(connected, provider, email="new@example.com", preferred_username="New One!")
        assert session.get(connected.base + place).status_code == 200
        told = connected.python(
            "from accounts.models import User; u = User.objects.get(email='new@example.com'); print(u.username, "
            "u.role, u.has_usable_password())"
        )
        assert told.split() == ["new-one", "viewer", "False"]

    @pytest.mark.parametrize("claims", [{"email": "admin@example.com", "email_verified": False}, {"email": ""}])
    def test_an_address_that_nobody_verified_is_refused(
        self, connected: Installation, provider: Provider, claims: dict[str, Any]
    ) -> None:
        session, place = signed_in(connected, provider, **claims)
        assert place.startswith("/admin/login/")
        assert "login" in session.get(connected.base + "/admin/jobs/job/").url

    def test_an_inactive_account_stays_out(self, connected: Installation, provider: Provider) -> None:
        connected.python(
            "from accounts.models import User; User.objects.create_user('gone', 'gone@example.com', None, "
            "is_active=False)"
        )
        _, place = signed_in(connected, provider, email="gone@example.com")
        assert place.startswith("/admin/login/")

    @pytest.mark.parametrize(
        "forged",
        [
            {"aud": "another client"}, {"aud": ["another"]}, {"aud": None}, {"iss": "https://evil.example"},
            {"iss": None}, {"exp": None}, {"exp": 1}, {"sub": None}, {"sub": "somebody else"}, {"nonce": "x"},
            {"azp": "another client"},
        ],
    )  # fmt: skip
    def test_an_id_token_of_another_client_issuer_user_or_time_is_refused(
        self, connected: Installation, provider: Provider, forged: dict[str, Any]
    ) -> None:
        provider.forged = forged
        try:
            session, _ = signed_in(connected, provider, email="admin@example.com")
        finally:
            provider.forged = {}
        assert "login" in session.get(connected.base + "/admin/jobs/job/").url

    @pytest.mark.parametrize("path", ["/token", "/keys", "/user"])
    @pytest.mark.parametrize("answer", ["redirect", "not JSON", "an error", "another shape", "a list"])
    def test_a_provider_that_does_not_answer_as_it_should_admits_nobody(
        self, connected: Installation, provider: Provider, path: str, answer: str, target: Target
    ) -> None:
        provider.instead[path] = {
            "redirect": (307, {"Location": target.url + "/elsewhere"}, b""),
            "not JSON": (200, {}, b"<html>"),
            "an error": (503, {}, b"{}"),
            "another shape": (200, {}, b'{"keys": 1, "id_token": 1}'),
            "a list": (200, {}, b"[]"),
        }[answer]
        try:
            session, place = signed_in(connected, provider, email="admin@example.com")
        finally:
            provider.instead = {}
        assert place
        assert "login" in session.get(connected.base + "/admin/jobs/job/").url
        assert target.paths() == []

    def test_the_first_sign_on_binds_the_account(self, connected: Installation, provider: Provider) -> None:
        person = {"sub": "4711", "email": "bound@example.com"}
        signed_in(connected, provider, **person)
        # Somebody else who gets that address is somebody else.
        session, _ = signed_in(connected, provider, **{**person, "sub": "4712"})
        assert "login" in session.get(connected.base + "/admin/jobs/job/").url
        # The same person with a new address is the same person.
        session, place = signed_in(connected, provider, **{**person, "email": "renamed@example.com"})
        assert session.get(connected.base + place).status_code == 200
        count = "from accounts.models import User; print(User.objects.filter(email__contains='{}').count())"
        assert connected.python(count.format("bound")) == "1\n"
        assert connected.python(count.format("renamed")) == "0\n"

    def test_an_address_that_users_gave_themselves_admits_nobody(
        self, connected: Installation, provider: Provider
    ) -> None:
        user = connected.user("viewer")
        me = user.get("/auth/me").json()["id"]
        assert user.put(f"/auth/users/{me}", json={"email": "future.boss@example.com"}).status_code == 200
        session, _ = signed_in(connected, provider, email="future.boss@example.com")
        assert "login" in session.get(connected.base + "/admin/jobs/job/").url
