"""Names are judged by the address that is dialled. No name here is looked up, and nothing but loopback is called."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from executions.http import DeliveryError, HttpClient, PolicyResolver, Reply, Request
from jobs.target_policy import TargetPolicy, literal_address
from tests.target import Target


class Answers(AbstractResolver):
    """A resolver whose answers the test writes; each call takes the next."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


def call(url: str, policy: TargetPolicy, resolver: AbstractResolver) -> Reply:
    async def one() -> Reply:
        client = HttpClient(policy=policy, resolver=resolver)
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


class Failing(Answers):
    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        raise OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_a_name_that_cannot_be_resolved_is_told_and_may_be_tried_again() -> None:
    with pytest.raises(DeliveryError, match=r"the host name gone\.example\.com could not be resolved") as caught:
        call("http://gone.example.com/", TargetPolicy(), Failing([]))
    assert caught.value.failure == "connect"


def test_of_several_records_only_the_allowed_are_dialled() -> None:
    resolver = PolicyResolver(TargetPolicy(), Answers(["10.0.0.1", "93.184.216.34", "::1", "2606:2800:220:1::1"]))
    found = asyncio.run(resolver.resolve("several.example.com", 80))
    assert [result["host"] for result in found] == ["93.184.216.34", "2606:2800:220:1::1"]


def test_a_name_is_judged_again_at_each_look_up() -> None:
    resolver = PolicyResolver(TargetPolicy(), Answers(["93.184.216.34"], ["127.0.0.1"]))
    assert asyncio.run(resolver.resolve("rebind.example.com", 80))
    with pytest.raises(OSError, match="not allowed"):
        asyncio.run(resolver.resolve("rebind.example.com", 80))


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
        client = HttpClient(policy=TargetPolicy(), resolver=Answers(["127.0.0.1"]))
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
