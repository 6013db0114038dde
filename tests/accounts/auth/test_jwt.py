"""Keys of the API's tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.auth.jwt import AccessToken, RefreshToken, issue, session_of
from accounts.models import LoginSession, User
from core.api.errors import Unauthorized

pytestmark = pytest.mark.django_db
FORMER, OTHER = "f" * 40, "o" * 40


@pytest.fixture
def session(admin: User) -> LoginSession:
    ends = timezone.now() + dt.timedelta(days=1)
    return LoginSession.objects.create(user=admin, expires_at=ends, auth_hash=admin.get_session_auth_hash())


def signed(session: LoginSession, key: str, kind: Any = AccessToken, **changes: Any) -> str:
    return pyjwt.encode({**issue(kind, session).payload, **changes}, key, algorithm="HS256")


@pytest.mark.parametrize("kind", [AccessToken, RefreshToken])
def test_a_token_of_a_former_key_stays_valid(kind: Any, session: LoginSession, settings: Any) -> None:
    raw = signed(session, FORMER, kind)
    with pytest.raises(Unauthorized):
        session_of(kind, raw)
    settings.JWT_SECRET_KEY_FALLBACKS = [OTHER, FORMER]
    assert session_of(kind, raw) == session
    settings.JWT_SECRET_KEY_FALLBACKS = [OTHER]
    with pytest.raises(Unauthorized):
        session_of(kind, raw)


def test_a_former_key_is_as_strict(session: LoginSession, settings: Any) -> None:
    settings.JWT_SECRET_KEY_FALLBACKS = [FORMER]
    past = int((timezone.now() - dt.timedelta(minutes=1)).timestamp())
    for raw in (
        signed(session, FORMER, exp=past),
        signed(session, FORMER, RefreshToken),
        pyjwt.encode(issue(AccessToken, session).payload, "", algorithm="none"),
    ):
        with pytest.raises(Unauthorized):
            session_of(AccessToken, raw)


def test_new_tokens_are_signed_with_the_present_key(session: LoginSession, settings: Any) -> None:
    settings.JWT_SECRET_KEY_FALLBACKS = [FORMER]
    raw = str(issue(AccessToken, session))
    assert pyjwt.decode(raw, settings.JWT_SECRET_KEY, algorithms=["HS256"])["sid"] == str(session.pk)


def test_the_api_takes_one(make_user: Callable[..., User], session: LoginSession, settings: Any) -> None:
    settings.JWT_SECRET_KEY_FALLBACKS = [FORMER]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {signed(session, FORMER)}")
    assert client.get("/api/v2/auth/me").status_code == 200
