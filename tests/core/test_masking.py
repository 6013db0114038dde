"""Secrets are not in what is shown, in whatever encoding a request or an answer holds them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking import MASK, SecretTexts, url_for

# Texts that are in no other text by chance.
SECRETS = st.text(alphabet='sS3cr€t/+=&"\\ é%あ', min_size=8, max_size=30).filter(lambda one: len(set(one)) > 4)
AROUND = st.text(alphabet="xyz{}: ", max_size=12)


@given(SECRETS, AROUND, AROUND)
def test_no_encoding_of_a_secret_is_shown(secret: str, before: str, after: str) -> None:
    hide = SecretTexts([(secret, "[hidden]")]).hide
    raw = secret.encode()
    encodings = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="").replace("%2F", "%2f").replace("%E3", "%e3"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
    ]
    for text in encodings:
        assert text not in hide(f"{before}{text}{after}")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for length in range(4):
            packed = encode(before.encode() + b"u" * length + raw + after.encode()).decode()
            assert "[hidden]" in hide(packed)


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert SecretTexts([("abcdefgh", "[a]"), ("abcdefgh-ijkl", "[b]")]).hide("abcdefgh-ijkl abcdefgh") == "[b] [a]"


def test_without_secrets_nothing_changes() -> None:
    assert SecretTexts([]).hide("text") == "text"
    assert SecretTexts([("", "[x]")]).hide("text") == "text"


@given(SECRETS, AROUND, st.integers(3, 40))
def test_the_beginning_of_a_secret_at_a_cut_is_hidden(secret: str, before: str, length: int) -> None:
    part = secret[: min(length, len(secret))]
    assert SecretTexts([(secret, "[hidden]")]).hide(before + part, is_cut=True) == f"{before}[hidden]"


SECRET = "s3cr3tValue"
NAMES = (
    "X-Amz-Signature", "X-Goog-Signature", "AWSAccessKeyId", "access_key", "auth_key", "subscription-key", "pwd", "jwt",
    "session", "sig", "code", "key", "api_key", "PASSWORD", "hmac", "tok%65n",
)  # fmt: skip
URLS = [
    f"https://h/x?a=1;token={SECRET}",
    f"https://h/x?cb=https://y/?token={SECRET}",
    f'https://h/x?filter={{"token":"{SECRET}"}}',
    f"https://h/x?h=Authorization:{SECRET}",
    f"https://h/p;token={SECRET}?x=1",
    f"https://h/hook/token={SECRET}",
    f"https://user:{SECRET}@h/x?y=1",
    f"https://h/services/T0/B0/{SECRET}?y=1",
    f"https://h/x?y=1#{SECRET}",
    f"https://h/x?token={{{{secret.A}}}}{SECRET}",
    *(f"https://h/x?{name}={SECRET}" for name in NAMES),
]


@pytest.mark.parametrize("is_owner", [True, False])
@pytest.mark.parametrize("url", URLS)
def test_no_secret_of_a_url_is_shown_to_any_reader(url: str, is_owner: bool) -> None:
    assert SECRET not in url_for(url, is_owner=is_owner)


def test_what_a_url_shows_to_whom() -> None:
    url = "https://h/x?suite=smoke&day=1&token={{secret.A}}"
    assert url_for(url, is_owner=True) == url
    assert url_for(url, is_owner=False) == f"https://h/x?suite={MASK}&day={MASK}&token={MASK}"
    assert SECRET not in url_for(f"https://h/x?{SECRET}", is_owner=False)
