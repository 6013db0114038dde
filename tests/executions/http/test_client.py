"""What of a URL goes out, and in which character set an answer is read: inputs from public bug reports."""

from __future__ import annotations

import pytest

from executions.http.body import _charset, _decoded
from executions.http.client import _address


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
    assert _address(url, False).path == sent


def test_basic_credentials_with_an_empty_user_name() -> None:
    assert _address("http://:secret@x.example.com/", False).authorization == "Authorization: Basic OnNlY3JldA==\r\n"


@pytest.mark.parametrize("label", ["Windows-31J", "Shift_JIS", "x-sjis"])
def test_an_answer_in_the_character_set_that_its_label_stands_for(label: str) -> None:
    assert _decoded("①㈱～".encode("cp932"), _charset(f"text/plain; charset={label}")) == "①㈱～"
