"""The parts of GitHub's REST API that Cronsched uses: tokens, and the state of workflow runs (GitHub REST: "Workflow
runs").
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import requests
from django.conf import settings
from django.utils import timezone

from core.api.errors import DomainError
from core.masking import secret_texts
from core.runtime import outbound
from executions.targets.github import limits
from executions.targets.github.limits import RateLimited
from jobs.targets import address_policy
from settings_app.models import GitHubCredential

log = logging.getLogger("cronsched.github")
VERSION = "2022-11-28"
PUBLIC_API = "https://api.github.com"
# An installation token lives for an hour and is renewed well before it expires.
_RENEW_BEFORE = 300.0
_APP_TOKEN_SECONDS = 540
_SHORTEST_TOKEN = 8
# By credential: when the token is renewed, the token, and the version of the credential that it belongs to.
_tokens: dict[UUID, tuple[float, str, dt.datetime]] = {}
_lock = threading.Lock()


class NoToken(Exception):
    """No token is available; the message says why and contains no secret. `is_final`: asking again does not help."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


def headers(token: str) -> dict[str, str]:
    """The headers of every request."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": VERSION,
    }


_KEEP_SECONDS = 30.0


def token_of(credential_id: UUID | None) -> str:
    """The token of a credential; without one, the token of the environment, which may be ''. Raises `NoToken`."""
    if credential_id is None:
        return str(settings.GITHUB_TOKEN)
    version = GitHubCredential.objects.filter(pk=credential_id).values_list("updated_at", flat=True).first()
    with _lock:
        kept = _tokens.get(credential_id)
        # Another process may have changed the credential.
        if kept and kept[0] > time.monotonic() and kept[2] == version:
            return kept[1]
    try:
        credential = GitHubCredential.objects.get(pk=credential_id)
    except GitHubCredential.DoesNotExist:
        raise NoToken("the job's GitHub credential is gone", is_final=True) from None
    except DomainError as exc:
        raise NoToken(exc.message) from exc
    try:
        if credential.kind == GitHubCredential.Kind.TOKEN:
            token, seconds = str(credential.token), _KEEP_SECONDS
        else:
            token, lives = installation_token(credential)
            seconds = max(0.0, lives - _RENEW_BEFORE)
    except DomainError as exc:
        raise NoToken(exc.message) from exc
    with _lock:
        _tokens[credential_id] = (time.monotonic() + seconds, token, credential.updated_at)
    return token


@contextmanager
def asking(credential_id: UUID | None) -> Iterator[str]:
    """The token of a credential for requests besides dispatches and looks at runs. While GitHub asks for a pause of the
    credential it is not asked, and a pause that it asks for is stored. Raises `NoToken` and `RateLimited`.
    """
    limits.check(credential_id)
    try:
        yield token_of(credential_id)
    except RateLimited as exc:
        raise (limits.note(credential_id, exc.pause) if exc.pause else exc) from exc


def reason(error: Exception) -> str:
    """Why GitHub could not be asked, for people."""
    if isinstance(error, NoToken | RateLimited | DomainError):
        return str(error)
    return f"GitHub cannot be reached: {type(error).__name__}"


def forget(credential_id: UUID) -> None:
    """Drop a cached token after it was refused or its credential changed."""
    with _lock:
        _tokens.pop(credential_id, None)


def installation_token(credential: GitHubCredential) -> tuple[str, float]:
    """A new installation token of a GitHub App and its lifetime in seconds. Raises `NoToken`."""
    now = int(time.time())
    try:
        # Issued a minute in the past to allow for clock skew (GitHub: "Generating a JSON Web Token").
        claims = {"iat": now - 60, "exp": now + _APP_TOKEN_SECONDS, "iss": credential.app_id}
        signed = jwt.encode(claims, credential.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as exc:
        raise NoToken("the GitHub App's private key cannot be read: paste the whole PEM file") from exc
    url = f"{settings.GITHUB_API_URL}/app/installations/{credential.installation_id}/access_tokens"
    answer = _ask("POST", url, signed)
    if answer.status_code != 201:
        # Suspended, no longer installed, or its key revoked (GitHub REST: "Create an installation access token").
        is_final = answer.status_code in {401, 403, 404} and limits.refused(answer) is None
        raise NoToken(f"GitHub gave the App no token: status {answer.status_code}", is_final=is_final)
    try:
        told = answer.json()
        ends = dt.datetime.fromisoformat(told["expires_at"].replace("Z", "+00:00"))
        return str(told["token"]), (ends - timezone.now()).total_seconds()
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NoToken("GitHub's answer about the App's token cannot be read") from exc


def hide(text: str, token: str) -> str:
    """A text of GitHub without the token; a token of a few characters would be found by chance."""
    return secret_texts(((token, "***"),)).hide(text) if len(token) >= _SHORTEST_TOKEN else text


def get(path: str, token: str, *, etag: str = "", accept: str = "", heed: bool = True) -> requests.Response:
    """A conditional GET; a 304 reply does not count against the rate limit. Raises `requests.RequestException`.

    A refusal for a rate limit is `RateLimited`, unless `heed` is false: then the caller reads the answer.
    """
    more = {"If-None-Match": etag} if etag else {}
    more |= {"Accept": accept} if accept else {}
    return _heeded(_followed("GET", path, token, **more), heed=heed)


def _heeded(answer: requests.Response, *, heed: bool) -> requests.Response:
    if heed and (refusal := limits.refused(answer)):
        raise refusal
    return answer


def _followed(method: str, path: str, token: str, **more: str) -> requests.Response:
    """Ask GitHub; of a renamed or moved repository once more at its new address (GitHub REST: "Follow redirects")."""
    answer = _request(method, f"{settings.GITHUB_API_URL}{path}", token, **more)
    moved = moved_to(answer.status_code, answer.headers.get("Location", ""))
    return _request(method, moved, token, **more) if moved else answer


def moved_to(status: int, location: str) -> str:
    """Where a redirect within GitHub's API leads; '' otherwise: no token goes anywhere else."""
    own = status in {301, 302, 307, 308} and location.startswith(f"{settings.GITHUB_API_URL}/")
    return location if own else ""


def page_of_run(url: Any) -> str:
    """The page of a run as GitHub's answer names it; '' unless it is on GitHub."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        known = parts.hostname in {
            "github.com",
            (urlsplit(settings.GITHUB_API_URL).hostname or "").removeprefix("api."),
        }
        usable = parts.scheme == "https" and known and not parts.username and not parts.password
    except ValueError:
        usable = False
    return url.replace("\x00", "")[:500] if usable else ""


class LeftOut(Exception):
    """A log or an artifact that is not read, with the reason."""


def download(path: str, token: str, most: int) -> bytes:
    """The content of a log or an artifact of at most `most` bytes. GitHub redirects to its storage, which gets no token
    (GitHub REST: "Download an artifact"). Raises `LeftOut`, and `RateLimited`.
    """
    try:
        answer = get(path, token)
        address = answer.headers.get("Location", "")
        if answer.status_code not in {302, 307}:
            raise LeftOut(f"GitHub answered {answer.status_code}")
        if not _is_storage(address):
            raise LeftOut("the address that GitHub gives may not be followed")
        with outbound.call("GET", address, stream=True) as stored:
            if stored.status_code != 200:
                raise LeftOut(f"GitHub's storage answered {stored.status_code}")
            return _read(stored, most)
    except limits.RateLimited:
        raise
    except requests.RequestException as exc:
        raise LeftOut("GitHub could not be reached") from exc


def _read(stored: requests.Response, most: int) -> bytes:
    content = bytearray()
    for piece in stored.iter_content(65_536):
        content += piece
        if len(content) > most:
            raise LeftOut(f"it has more than {most // 1024 // 1024} MiB")
    return bytes(content)


def _is_storage(address: str) -> bool:
    """Whether a redirect may be followed: by TLS, to where a webhook may go. A company's own server may lead into its
    network, and without TLS where it has none itself.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if settings.GITHUB_API_URL.startswith("http://"):
        return parts.scheme in {"http", "https"}
    is_own = settings.GITHUB_API_URL != PUBLIC_API
    return parts.scheme == "https" and (is_own or address_policy.current().leads_to_allowed(host))


def put(path: str, token: str) -> requests.Response:
    """A PUT without a body. Raises as `get`."""
    return _heeded(_followed("PUT", path, token), heed=True)


def post(path: str, token: str, *, heed: bool = True) -> requests.Response:
    """A POST without a body. Raises as `get`."""
    return _heeded(_followed("POST", path, token), heed=heed)


def _ask(method: str, url: str, token: str) -> requests.Response:
    try:
        return _request(method, url, token)
    except UnicodeError as exc:
        raise NoToken("the token holds characters that no token has: paste it again") from exc
    except requests.RequestException as exc:
        raise NoToken(f"GitHub cannot be reached: {type(exc).__name__}") from exc


def _request(method: str, url: str, token: str, **more: str) -> requests.Response:
    return outbound.call(method, url, headers={**headers(token), **more})


def note_refusal(credential_id: UUID) -> None:
    """Store that GitHub refused a credential (401); the admins are notified."""
    forget(credential_id)
    GitHubCredential.objects.filter(pk=credential_id, problem="").update(
        problem="GitHub refused it: it has expired or was revoked. Store another one.", warned_at=None
    )


def note_success(credential_id: UUID, answer: requests.Response) -> None:
    """Store that a credential works, and its expiry."""
    ends = read_expiry(answer.headers.get("github-authentication-token-expiration", ""))
    GitHubCredential.objects.filter(pk=credential_id).exclude(problem="", expires_at=ends).update(
        problem="", expires_at=ends, warned_at=None
    )


def read_expiry(text: str) -> dt.datetime | None:
    """Parse GitHub's token expiry: `2026-12-31 23:59:59 UTC` or with an offset."""
    for shape in ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            # Both formats contain an offset.
            return dt.datetime.strptime(text.strip().replace(" UTC", " +0000"), shape)  # noqa: DTZ007
        except ValueError:
            continue
    return None


def check(credential: GitHubCredential) -> dict[str, Any]:
    """The access of a credential: its `repositories`, those that it `can_dispatch`, the requests that its rate limit
    leaves (`limit`, such as "4999 of 5000"), and its `scopes` ('' for tokens that have none). Raises `NoToken` if
    GitHub refuses it.
    """
    forget(credential.pk)
    token = token_of(credential.pk)
    is_app = credential.kind == GitHubCredential.Kind.APP
    path = "/installation/repositories?per_page=100" if is_app else "/user/repos?per_page=100"
    answer = _ask("GET", f"{settings.GITHUB_API_URL}{path}", token)
    if answer.status_code == 401:
        note_refusal(credential.pk)
        raise NoToken("GitHub refuses it: it has expired or was revoked")
    if answer.status_code != 200:
        raise NoToken(f"GitHub answered {answer.status_code}")
    note_success(credential.pk, answer)
    try:
        told = answer.json()
        found = told["repositories"] if isinstance(told, dict) else told
        able = [one for one in found if (one.get("permissions") or {}).get("push")]
        return {
            "repositories": sorted(str(one["full_name"]) for one in found),
            "can_dispatch": sorted(str(one["full_name"]) for one in able),
            "limit": " of ".join(answer.headers.get(f"X-RateLimit-{name}", "?") for name in ("Remaining", "Limit")),
            "scopes": answer.headers.get("X-OAuth-Scopes", "")[:200],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NoToken("GitHub's answer about its repositories cannot be read") from exc
