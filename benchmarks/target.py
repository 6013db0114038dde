"""A webhook target on loopback that answers after a delay and notes each arrival; its report goes to standard output at SIGTERM.

Bare asyncio, so that it takes as little as possible of the cores that it shares with what is measured.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Target(asyncio.Protocol):
    """One connection: a request without a body, an answer after `delay` seconds, and again."""

    delay = 0.05
    arrivals: list[tuple[float, str]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.arrivals.append((time.time(), data.split(b" ", 2)[1].decode()))
        asyncio.get_running_loop().call_later(self.delay, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def main(port: int, delay: float) -> None:
    Target.delay, Target.arrivals = delay, []
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Target, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    json.dump(Target.arrivals, sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
