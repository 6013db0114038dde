"""A webhook target on loopback that answers after a delay and notes each arrival; its report goes to standard output
at SIGTERM.

Bare asyncio, so that it takes as little as possible of the cores that it shares with what is measured.
`/count?since=T` tells how many paths have been called since that Unix time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
COUNT = b"/count?since="


class Target(asyncio.Protocol):
    """One connection: a request without a body, an answer after `delay` seconds, and again."""

    delay = 0.05
    arrivals: list[tuple[float, str]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path.startswith(COUNT):
            self._count(float(path.removeprefix(COUNT)))
            return
        self.arrivals.append((time.time(), path.decode()))
        asyncio.get_running_loop().call_later(self.delay, self._answer)

    def _count(self, since: float) -> None:
        body = str(len({path for moment, path in self.arrivals if moment >= since})).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


@contextlib.contextmanager
def running_target(delay: float, ports: int = 1) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A target in a process of its own, and its ports, with a comma between them."""
    process = subprocess.Popen([sys.executable, __file__, str(ports), str(delay)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def take_report(process: subprocess.Popen[str]) -> list[tuple[float, str]]:
    """End a target; its arrivals, as pairs of Unix time and path."""
    process.terminate()
    assert process.stdout is not None
    return [(moment, path) for moment, path in json.loads(process.stdout.read())]


async def main(ports: int, delay: float) -> None:
    Target.delay, Target.arrivals = delay, []
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    servers = [await loop.create_server(Target, "127.0.0.1", 0, backlog=4096) for _ in range(ports)]
    print(",".join(str(one.sockets[0].getsockname()[1]) for one in servers), flush=True)
    await stop.wait()
    json.dump(Target.arrivals, sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
