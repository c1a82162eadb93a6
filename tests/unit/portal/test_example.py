from __future__ import annotations

from wayhouse.chutes import examples
from wayhouse.portal import example


async def test_the_example_is_found_and_can_be_installed(house):
    source = example.folder()
    assert source is not None
    received = await house.gateway.chutes.receive_archive(examples.chunks(source))
    assert received.name == example.NAME
    house.gateway.chutes.drop(received)
