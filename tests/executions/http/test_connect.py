"""Names are judged by the address that is dialled. No name here is looked up, and nothing but loopback is called."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.http import connect
from executions.http.client import HttpClient, Request
from executions.http.connect import Connector, Resolve
from executions.http.connection import DeliveryError, Reply
from jobs.targets.address_policy import TargetPolicy, literal_address
from tests.support.target import Target


class Answers:
    """Addresses that the test writes; each look-up takes the next."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> list[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def call(url: str, policy: TargetPolicy, resolve: Resolve) -> Reply:
    async def one() -> Reply:
        client = HttpClient(policy=policy, resolve=resolve)
        try:
            return await client.send(Request("GET", url, {}), 2)
        finally:
            await client.close()

    return asyncio.run(one())


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)
def test_a_name_that_leads_to_a_forbidden_address_is_not_called(address: str) -> None:
    with pytest.raises(DeliveryError, match="not allowed") as caught:
        call("http://rebind.example.com/", TargetPolicy(), Answers([address]))
    assert caught.value.failure == ""


async def failing(host: str, port: int) -> list[str]:
    raise OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_a_name_that_cannot_be_resolved_is_told_and_may_be_tried_again() -> None:
    with pytest.raises(DeliveryError, match=r"the host name gone\.example\.com could not be resolved") as caught:
        call("http://gone.example.com/", TargetPolicy(), failing)
    assert caught.value.failure == "connect"


def test_names_of_a_domain_that_does_not_answer_hold_up_no_other(target: Target) -> None:
    port = target.url.rsplit(":", 1)[1]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        if host.endswith(".dead.example"):
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    async def run() -> Reply:
        client = HttpClient(policy=TargetPolicy.read(["127.0.0.0/8"]), resolve=resolve)
        waiting = [
            asyncio.ensure_future(client.send(Request("GET", f"http://n{number}.dead.example:{port}/", {}), 60))
            for number in range(100)
        ]
        await asyncio.sleep(0)
        reply = await client.send(Request("GET", f"http://well.example.com:{port}/ok", {}), 2)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await client.close()
        return reply

    assert asyncio.run(run()).status == 200
    # The threads of a process are 64.
    assert len([host for host in asked if host.endswith(".dead.example")]) <= 16


def test_of_several_records_only_the_allowed_are_dialled() -> None:
    dialler = Connector(TargetPolicy(), failing)
    records = ["10.0.0.1", "93.184.216.34", "::1", "2606:2800:220:1::1"]
    assert dialler.allowed("several.example.com", records) == ["93.184.216.34", "2606:2800:220:1::1"]


def test_a_name_is_judged_again_at_each_look_up(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "KEEP_NAMES_SECONDS", -1.0)
    port = target.url.rsplit(":", 1)[1]
    policy = TargetPolicy.read(["127.0.0.1"])
    answers = Answers(["127.0.0.1"], ["127.0.0.2"])

    async def two() -> None:
        client = HttpClient(policy=policy, resolve=answers)
        assert (await client.send(Request("GET", f"http://rebind.example.com:{port}/ok", {}), 2)).status == 200
        await client.close()
        with pytest.raises(DeliveryError, match="resolves to an address that is not allowed"):
            await client.send(Request("GET", f"http://rebind.example.com:{port}/ok", {}), 2)

    asyncio.run(two())


def test_a_name_that_settings_allow_is_called_wherever_it_leads(target: Target) -> None:
    port = target.url.rsplit(":", 1)[1]
    policy = TargetPolicy.read(["inside.example.com"])
    assert call(f"http://inside.example.com:{port}/ok", policy, Answers(["127.0.0.1"])).status == 200
    with pytest.raises(DeliveryError, match="not allowed"):
        call(f"http://other.example.com:{port}/ok", policy, Answers(["127.0.0.1"]))


def test_a_network_that_settings_allow(target: Target) -> None:
    port = target.url.rsplit(":", 1)[1]
    policy = TargetPolicy.read(["127.0.0.0/8"])
    assert call(f"{target.url}/ok", policy, Answers(["127.0.0.1"])).status == 200
    assert call(f"http://any.example.com:{port}/ok", policy, Answers(["127.0.0.1"])).status == 200
    assert not policy.allows("10.0.0.1")


def test_subdomains_are_allowed_by_a_star() -> None:
    policy = TargetPolicy.read(["*.corp.example.com"])
    assert policy.allows_name("a.b.corp.example.com")
    assert not policy.allows_name("corp.example.com")
    assert not policy.allows_name("evilcorp.example.com")


def test_the_trusted_api_is_called_whatever_its_address(target: Target) -> None:
    async def one() -> Reply:
        client = HttpClient(policy=TargetPolicy(), resolve=Answers(["127.0.0.1"]))
        try:
            return await client.send(Request("GET", target.url + "/ok", {}, trusted=True), 2)
        finally:
            await client.close()

    assert asyncio.run(one()).status == 200


@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "{int}", "0x{int:x}", "0{int:o}", "::ffff:{0}", "[64:ff9b::{0}]"]))
def test_every_spelling_of_an_address_is_judged_alike(address: Any, spelling: str) -> None:
    text = spelling.format(address, int=int(address))
    found = literal_address(text)
    assert found is not None
    plain = TargetPolicy().allows(str(address))
    assert TargetPolicy().allows(text) <= plain
    if ":" not in text:
        assert TargetPolicy().allows(text) == plain


@given(st.ip_addresses())
def test_only_global_unicast_addresses_are_allowed(address: Any) -> None:
    if TargetPolicy().allows(str(address)):
        assert address.is_global
        assert not (address.is_multicast or address.is_private or address.is_loopback or address.is_link_local)
        assert not address.is_reserved or str(address).startswith("64:ff9b:")
