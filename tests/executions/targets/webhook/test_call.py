"""The request of a webhook, and where redirects lead it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from executions.http.client import Request
from executions.http.connect import Certificates
from executions.http.connection import Reply
from executions.targets import Call, Webhook
from executions.targets.webhook.call import Sealed
from executions.targets.webhook.request import redirected
from jobs.content import Content
from settings_app.sent_secrets import Refused, Rights, StoredSecret

URL = "https://api.example.com/run"
CALL = Call(UUID(int=7), 2, dt.datetime(2026, 11, 26, tzinfo=dt.UTC), "scheduled")


def request(content: Content, url: str = URL, call: Call = CALL, **changes: Any) -> Request:
    return Webhook(url, content._replace(**changes), job_id=UUID(int=9)).request(call)


def test_what_is_always_sent() -> None:
    headers = request(Content({})).headers
    assert headers == {
        "Idempotency-Key": str(UUID(int=7)),
        "X-Cronsched-Execution": str(UUID(int=7)),
        "X-Cronsched-Attempt": "2",
        "X-Cronsched-Trigger": "scheduled",
        "X-Cronsched-Job": str(UUID(int=9)),
        "X-Cronsched-Scheduled-For": "2026-11-26T00:00:00Z",
    }
    assert "X-Cronsched-Scheduled-For" not in request(Content({}), call=Call(UUID(int=7))).headers


@pytest.mark.parametrize(
    ("plan", "metadata", "method", "body", "kind"),
    [
        ({}, {}, "GET", None, None),
        ({}, {"a": 1}, "POST", b'{"a":1}', "application/json"),
        ({"method": "POST"}, {}, "POST", b"{}", "application/json"),
        ({"method": "PUT"}, {"a": 1}, "PUT", b'{"a":1}', "application/json"),
        ({"method": "GET"}, {"a": 1}, "GET", None, None),
        ({"method": "HEAD"}, {"a": 1}, "HEAD", None, None),
        ({"method": "DELETE"}, {"a": 1}, "DELETE", b'{"a":1}', "application/json"),
        ({"method": "POST", "body": "none"}, {"a": 1}, "POST", None, None),
        ({"body": "none"}, {"a": 1}, "GET", None, None),
        (
            {"body": "form"},
            {"a": "x y", "b": [1, "z"], "c": None, "d": True, "e": {"f": 1}},
            "POST",
            b"a=x+y&b=1&b=z&c=&d=true&e=%7B%22f%22%3A1%7D",
            "application/x-www-form-urlencoded",
        ),
        ({"body": "text"}, {"a": 1}, "POST", "<r>日</r>".encode(), "text/plain; charset=utf-8"),
    ],
)
def test_method_and_body(
    plan: dict[str, Any], metadata: dict[str, Any], method: str, body: bytes | None, kind: str | None
) -> None:
    found = request(Content(metadata, body_text="<r>日</r>"), **plan)
    assert (found.method, found.body, found.headers.get("Content-Type")) == (method, body, kind)


def test_headers_replace_those_of_the_same_name() -> None:
    found = request(Content({"a": 1}, headers={"content-type": "application/xml", "user-agent": "x", "X-One": "1"}))
    assert found.headers["content-type"] == "application/xml"
    assert "Content-Type" not in found.headers
    assert found.headers["User-Agent"] == "x"
    assert found.headers["X-One"] == "1"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (URL, f"{URL}?d=a+b&e=%26"),
        (f"{URL}?x=1%2F", f"{URL}?x=1%2F&d=a+b&e=%26"),
        (f"{URL}?", f"{URL}?d=a+b&e=%26"),
        (f"{URL}#part", f"{URL}?d=a+b&e=%26#part"),
    ],
)
def test_the_query_is_appended(url: str, found: str) -> None:
    assert request(Content({}, query={"d": "a b", "e": "&"}), url).url == found


def sealed(value: str = "s3cr3t-value") -> Sealed:
    return Sealed({"KEY": StoredSecret(value, Rights("the secret 'KEY'", ("api.example.com",), frozenset(), "users"))})


def test_secrets_and_the_attempt_are_put_in() -> None:
    content = Content(
        {"a": ["\ufdd0secret.KEY\ufdd1"]}, {"X-Key": "k \ufdd0secret.KEY\ufdd1 \ufdd0attempt\ufdd1"}, is_rendered=True
    )
    found = Webhook(URL, content, names=frozenset({"KEY"})).request(CALL, sealed())
    assert found.body == b'{"a":["s3cr3t-value"]}'
    assert found.headers["X-Key"] == "k s3cr3t-value 2"
    assert found.secrets == (("s3cr3t-value", "{{ secret.KEY }}"),)


def test_a_secret_that_is_no_header() -> None:
    content = Content({}, {"X-Key": "\ufdd0secret.KEY\ufdd1"}, is_rendered=True)
    for value in ("line\r\nbreak", "日本"):
        with pytest.raises(Refused, match="X-Key holds characters") as caught:
            Webhook(URL, content, names=frozenset({"KEY"})).request(CALL, sealed(value))
        assert value not in str(caught.value)


def answer(status: int, location: str) -> Reply:
    return Reply(status, "", location=location)


POSTED = Request(
    "POST",
    URL,
    {"Authorization": "Bearer t", "Content-Type": "application/json", "X-Key": "s3cr3t", "X-One": "1"},
    b"{}",
    secrets=(("s3cr3t", "[x]"),),
    certificates=Certificates("c", "k"),
)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"),
        (307, "POST", "POST"), (308, "PUT", "PUT"), (301, "PUT", "PUT"), (302, "GET", "GET"),
    ],
)  # fmt: skip
def test_the_method_after_a_redirect(status: int, method: str, becomes: str) -> None:
    found = redirected(POSTED._replace(method=method), answer(status, "/there?x=1"))
    assert (found.method, found.url) == (becomes, "https://api.example.com/there?x=1")
    assert (found.body is None) == (becomes == "GET" and method != "GET")
    assert found.headers["Authorization"] == "Bearer t"


@pytest.mark.parametrize(
    "location", ["https://other.example.com/x", "http://api.example.com/x", "https://api.example.com:8443/", "//evil/"]
)
def test_credentials_stay_with_their_origin(location: str) -> None:
    found = redirected(POSTED, answer(307, location))
    assert found.headers == {"Content-Type": "application/json", "X-One": "1"}
    assert (found.body, found.certificates, found.trusted) == (b"{}", None, False)


@pytest.mark.parametrize("body", [b'{"a":"s3c/\\"r3t"}', b"a=s3c%2F%22r3t", b's3c/"r3t'])
def test_a_secret_in_the_body_stays_with_its_origin(body: bytes) -> None:
    posted = POSTED._replace(body=body, secrets=(('s3c/"r3t', "[x]"),))
    with pytest.raises(Refused, match="would get a secret"):
        redirected(posted, answer(308, "https://other.example.com/"))
    assert redirected(posted, answer(308, "/here")).body == body


def test_the_address_of_a_redirect_stays_as_it_is_written() -> None:
    assert redirected(POSTED, answer(307, "/x?c=%2F%3A%27#part")).url == "https://api.example.com/x?c=%2F%3A%27"


@pytest.mark.parametrize("location", ["ftp://x/", "javascript:alert(1)", "http://["])
def test_redirects_to_what_is_no_url(location: str) -> None:
    with pytest.raises(Refused, match="is no URL"):
        redirected(POSTED, answer(302, location))
