"""Secrets are not in what is shown, in whatever encoding a request or an answer holds them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from core.masking import SecretTexts

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
