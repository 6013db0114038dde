"""What the client makes of answers, byte by byte: a scripted server on loopback says exactly what a test writes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.http.client import HttpClient, Request
from executions.http.connection import Connection, DeliveryError, Reply, Timings
from jobs.targets.address_policy import TargetPolicy
from tests.support.certificates import self_signed
from tests.support.target import Target

POLICY = TargetPolicy.read(["127.0.0.0/8", "::1", "localhost"])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KEYED = {"Idempotency-Key": "k"}


@dataclass
class Script:
    """Answers in order, one a request; each is the pieces that are written, and whether the connection is closed
    after them.
    """

    answers: list[tuple[Sequence[bytes], bool]]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    served: list[asyncio.Task[None] | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.served.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                pieces, closes = self.answers.pop(0)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if closes:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def scripted(
    *answers: tuple[Sequence[bytes], bool], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[HttpClient, Script]]:
    script = Script(list(answers))
    server = await asyncio.start_server(script.serve, host, 0, ssl=tls)
    script.port = server.sockets[0].getsockname()[1]
    client = HttpClient(policy=POLICY)
    try:
        yield client, script
    finally:
        await client.close()
        server.close()
        await asyncio.gather(*filter(None, script.served))


def one(*pieces: bytes, closes: bool = False) -> Reply:
    """What a call makes of an answer that comes in these pieces."""

    async def call() -> Reply:
        async with scripted((pieces, closes)) as (client, script):
            return await client.send(Request("GET", f"http://127.0.0.1:{script.port}/x", {}), 2)

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("raw", "closes", "reply"),
    [
        (OK, False, Reply(200, "ok")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, Reply(204, "")),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, Reply(304, "")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", False,
        Reply(200, "abcde")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n0   \r\n\r\n", False, Reply(200, "abc")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", True, Reply(200, "until the end")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nuntil the end", True, Reply(200, "until the end")),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", False, Reply(200, "ok")),
        (b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\nContent-Length: 2\r\n\r\nok", False, Reply(200, "ok")),
        (b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + OK, False, Reply(200, "ok")),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", True, Reply(200, "")),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, False, Reply(200, "ok")),
        (b"HTTP/1.1 429 Slow down\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n", False, Reply(429, "", "7")),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", False,
         Reply(302, "", location="http://10.0.0.1/")),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=Shift_JIS\r\n"
         b"Content-Length: 4\r\n\r\n\x8c\x8e\x93\xfa", False, Reply(200, "月日")),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=nonsense\r\n"
         b"Content-Length: 3\r\n\r\n\xe6\x9c\x88", False, Reply(200, "月")),
    ],
)  # fmt: skip
def test_answers(raw: bytes, closes: bool, reply: Reply) -> None:
    whole, in_bytes = one(raw, closes=closes), one(*[raw[at : at + 1] for at in range(len(raw))], closes=closes)
    untimed = [each._replace(timings=Timings()) for each in (whole, in_bytes)]
    assert untimed[0] == untimed[1]
    assert untimed[0]._replace(head=()) == reply


def test_the_head_is_kept_as_it_came() -> None:
    assert one(b"HTTP/1.1 200 OK\r\nX-One: a\r\nx-one: b\r\nContent-Length: 0\r\n\r\n").head == (
        (b"X-One", b"a"),
        (b"x-one", b"b"),
        (b"Content-Length", b"0"),
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", "broke off in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", "broke off in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed the connection without an answer"),
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000, "head of the answer is too long"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " + b"y" * 1_200_000,
            "far more than its body",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=" + b"y" * 1_200_000, "far more than its body"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "head of the answer is too long"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "not valid HTTP"),
    ],
)
def test_what_is_no_answer(raw: bytes, reason: str) -> None:
    with pytest.raises(DeliveryError, match=reason) as caught:
        one(raw, closes=True)
    assert caught.value.failure == "broken"


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=400), max_size=5))
def test_any_bytes_end_in_a_reply_or_a_reason(pieces: list[bytes]) -> None:
    with contextlib.suppress(DeliveryError):
        one(*pieces, closes=True)


def test_a_connection_is_used_again_and_given_up_when_the_target_asks_so() -> None:
    async def run() -> None:
        last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        async with scripted(([OK], False), ([last], False), ([OK], False)) as (client, script):
            for _ in range(3):
                await client.send(Request("GET", f"http://127.0.0.1:{script.port}/", KEYED), 2)
            assert script.connections == 2

    asyncio.run(run())


def test_a_call_that_must_not_be_made_twice_gets_a_connection_of_its_own() -> None:
    async def run() -> None:
        async with scripted(([OK], False), ([OK], False)) as (client, script):
            for _ in range(2):
                await client.send(Request("POST", f"http://127.0.0.1:{script.port}/", {}, b"{}"), 2)
            assert script.connections == 2

    asyncio.run(run())


def test_an_answer_that_came_while_the_process_was_stopped_counts() -> None:
    async def run(target: Target) -> None:
        client = HttpClient(policy=POLICY)
        calls = [client.send(Request("GET", f"{target.url}/sleep?s=0.2", KEYED), 1.0) for _ in range(20)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.to_thread(target.wait_for, 20)
        # As after SIGSTOP: the time is up, and the answers are in the sockets.
        time.sleep(1.5)
        assert [reply.status for reply in await asyncio.gather(*tasks)] == [200] * 20
        await client.close()

    with Target() as target:
        asyncio.run(run(target))


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def run() -> None:
        async with scripted(([OK + OK], False), ([OK], False)) as (client, script):
            for _ in range(2):
                assert (await client.send(Request("GET", f"http://127.0.0.1:{script.port}/", {}), 2)).text == "ok"
                await asyncio.sleep(0.05)
            assert script.connections == 2

    asyncio.run(run())


@pytest.mark.parametrize("headers", [{}, KEYED])
def test_a_kept_connection_that_turns_out_closed_is_replaced_where_the_call_bears_a_key(
    headers: dict[str, str],
) -> None:
    async def run() -> None:
        async with scripted(([OK], False), ([b""], True), ([OK], False)) as (client, script):
            url = f"http://127.0.0.1:{script.port}/"
            await client.send(Request("POST", url, headers, b"{}"), 2)
            await client.send(Request("POST", url, headers, b"{}"), 2)
            assert len(script.requests) == 3

    if headers:
        asyncio.run(run())
    else:
        with pytest.raises(DeliveryError, match="without an answer"):
            asyncio.run(run())


def test_a_call_that_ran_out_of_time_is_not_made_again() -> None:
    async def run() -> None:
        async with scripted(([OK], False), ([], False), ([OK], False)) as (client, script):
            url = f"http://127.0.0.1:{script.port}/"
            await client.send(Request("GET", url, KEYED), 2)
            with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s") as caught:
                await client.send(Request("GET", url, KEYED), 0.2)
            assert caught.value.failure == "timeout"
            assert len(script.requests) == 2
            await client.send(Request("GET", url, KEYED), 2)
            assert script.connections == 2

    asyncio.run(run())


def test_what_is_sent() -> None:
    async def run() -> bytes:
        async with scripted(([OK], False)) as (client, script):
            url = f"http://user:p%40ss@127.0.0.1:{script.port}/a b/月?q=日#part"
            await client.send(Request("POST", url, {"Content-Type": "application/json"}, b'{"a": 1}'), 2)
            return script.requests[0].replace(str(script.port).encode(), b"PORT")

    request = asyncio.run(run())
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /a%20b/%E6%9C%88?q=%E6%97%A5 HTTP/1.1"
    assert b"Host: 127.0.0.1:PORT" in fields
    assert b"Authorization: Basic dXNlcjpwQHNz" in fields
    assert b"Content-Length: 8" in fields
    assert body == b'{"a": 1}'


def test_no_header_smuggles_another() -> None:
    with pytest.raises(DeliveryError, match="line break"):
        asyncio.run(HttpClient(policy=POLICY).send(Request("GET", "http://127.0.0.1:1/", {"A": "b\r\nC: d"}), 1))


def test_names_and_ipv6_are_dialled_in_turn() -> None:
    async def run() -> None:
        async def both(host: str, port: int) -> list[str]:
            return ["::1", "127.0.0.1"]

        async with scripted(([OK], True), ([OK], True)) as (_, script):
            client = HttpClient(policy=POLICY, resolve=both)
            reply = await client.send(Request("GET", f"http://localhost:{script.port}/", {}), 2)
            assert reply.status == 200
            await client.close()

    asyncio.run(run())


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(self_signed(tmp_path, "localhost"))

    async def run() -> Reply:
        async with scripted(([OK], False), tls=server) as (client, script):
            return await client.send(Request("GET", f"https://localhost:{script.port}/", {}), 2)

    with pytest.raises(DeliveryError, match="certificate is not trusted: self-signed") as caught:
        asyncio.run(run())
    assert caught.value.failure == "connect"


def test_a_trusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = self_signed(tmp_path, "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    monkeypatch.setattr("core.runtime.outbound.tls_context", lambda: ssl.create_default_context(cafile=str(path)))

    async def run() -> None:
        async with scripted(([OK], False), ([OK], False), tls=server) as (client, script):
            for _ in range(2):
                url = f"https://localhost:{script.port}/"
                assert (await client.send(Request("GET", url, KEYED), 2)).text == "ok"
            assert script.connections == 1
            with pytest.raises(DeliveryError, match="certificate is not trusted"):
                await client.send(Request("GET", f"https://127.0.0.1:{script.port}/", {}), 2)

    asyncio.run(run())


def test_plain_http_behind_an_https_url() -> None:
    async def run() -> None:
        async with scripted(([OK], False)) as (client, script):
            await client.send(Request("GET", f"https://127.0.0.1:{script.port}/", {}), 2)

    with pytest.raises(DeliveryError, match=r"no secure connection|no connection"):
        asyncio.run(run())


def test_a_call_that_is_broken_off_as_its_answer_comes_leaves_no_connection_open() -> None:
    async def run() -> bool:
        connection, transport = Connection(), Mock()
        connection.connection_made(transport)
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(connection.exchange(b"x", 5, loop.time() + 5))
        await asyncio.sleep(0)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return bool(transport.abort.called)

    assert asyncio.run(run())
