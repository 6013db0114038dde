"""One call outside of the engine, by the same rules: target policy, limits, certificates, proxy, no redirects."""

from __future__ import annotations

import asyncio

from executions.http.client import HttpClient, Request
from executions.http.connection import Reply


def send_once(request: Request, timeout: float) -> Reply:
    """Send a request and wait for its reply, at most `timeout` seconds. Raises `DeliveryError`."""

    async def send() -> Reply:
        client = HttpClient()
        try:
            return await client.send(request, timeout)
        finally:
            await client.close()

    return asyncio.run(send())
