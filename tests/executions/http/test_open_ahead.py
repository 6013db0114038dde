"""Connections that are opened before the calls that need them."""

from __future__ import annotations

import asyncio

import pytest

from executions.http.client import HttpClient, Request, encoded
from executions.http.connect import Origin
from jobs.targets.address_policy import TargetPolicy
from tests.executions.http.test_connection import KEYED, OK, scripted

TIMEOUT = 2.0


def asked(port: int) -> Request:
    return Request("GET", f"http://127.0.0.1:{port}/x", KEYED)


def test_calls_use_what_was_opened() -> None:
    async def run() -> tuple[int, int, list[float]]:
        async with scripted(*[((OK,), False)] * 3) as (client, script):
            origin = encoded(asked(script.port)).origin
            # Those that are idle already count.
            for count in (1, 3, 2):
                await client.open_ahead(origin, count, TIMEOUT)
            await asyncio.sleep(0)
            opened = script.connections
            replies = await asyncio.gather(*(client.send(asked(script.port), TIMEOUT) for _ in range(3)))
            return opened, script.connections, [one.timings.connect for one in replies]

    # What it took to connect is none of the calls' time.
    assert asyncio.run(run()) == (3, 3, [0, 0, 0])


def test_a_target_that_has_closed_them_is_connected_to_anew() -> None:
    async def run() -> str:
        async with scripted(((), True), ((OK,), False)) as (client, script):
            await client.open_ahead(encoded(asked(script.port)).origin, 1, TIMEOUT)
            return (await client.send(asked(script.port), TIMEOUT)).text

    assert asyncio.run(run()) == "ok"


@pytest.mark.parametrize("allowed", [[], ["127.0.0.0/8"]])
def test_one_that_may_not_or_cannot_be_called_has_none(allowed: list[str]) -> None:
    async def run() -> None:
        client = HttpClient(policy=TargetPolicy.read(allowed))
        # Nobody listens on port 1.
        await client.open_ahead(Origin(False, "127.0.0.1", 1, trusted=False), 5, TIMEOUT)
        assert not client._idle.get(Origin(False, "127.0.0.1", 1, trusted=False))
        await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("steps", range(12))
def test_nothing_stays_open_when_it_is_broken_off(steps: int) -> None:
    async def run() -> None:
        # It ends when the other side has seen every connection close.
        async with scripted(((OK,), False)) as (client, script):
            opening = asyncio.create_task(client.open_ahead(encoded(asked(script.port)).origin, 3, TIMEOUT))
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 10))
