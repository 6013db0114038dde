"""What of a URL goes out, and in which character set an answer is read: inputs from public bug reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.http.address import _COMMON, Address, _read, address_of
from executions.http.body import _charset, _decoded
from executions.http.connection import DeliveryError


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (
            "https://x.example.com/h?sp=%2Ftriggers%2Frun&sig=ab%2Bcd%2Fef%3D",
            "/h?sp=%2Ftriggers%2Frun&sig=ab%2Bcd%2Fef%3D",
        ),
        ("https://x.example.com/u%40example.com", "/u%40example.com"),
        ("https://x.example.com/u@example.com;v=1", "/u@example.com;v=1"),
        ("https://x.example.com/h?", "/h?"),
        ("https://x.example.com?a=b#part", "/?a=b"),
        ("https://x.example.com", "/"),
        ("https://x.example.com/日 本?q=“x”", "/%E6%97%A5%20%E6%9C%AC?q=%E2%80%9Cx%E2%80%9D"),
    ],
)
def test_a_request_target_is_sent_as_written(url: str, sent: str) -> None:
    assert address_of(url).path == sent


def test_basic_credentials_with_an_empty_user_name() -> None:
    assert address_of("http://:secret@x.example.com/").authorization == "Authorization: Basic OnNlY3JldA==\r\n"


@given(st.from_regex(_COMMON, fullmatch=True))
def test_what_is_read_from_the_text_is_what_a_parser_of_urls_reads(url: str) -> None:
    def read(by: Callable[[str], Address]) -> Address | str:
        try:
            return by(url)
        except DeliveryError as exc:
            return str(exc)

    assert read(address_of) == read(_read)


@pytest.mark.parametrize("label", ["Windows-31J", "Shift_JIS", "x-sjis"])
def test_an_answer_in_the_character_set_that_its_label_stands_for(label: str) -> None:
    assert _decoded("①㈱～".encode("cp932"), _charset(f"text/plain; charset={label}")) == "①㈱～"
