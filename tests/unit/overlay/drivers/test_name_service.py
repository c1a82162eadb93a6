"""Names at each overlay's own address; loopback addresses stand for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from dnslib import DNSRecord

from tests.parts.gateway import free_port
from tests.parts.gateway_house import Neighbourhood
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import admission
from wayhouse.overlay.drivers.name_service import NameService
from wayhouse.overlay.gateway_nodes import GatewayNodes
from wayhouse.overlay.orders import Founding


async def test_names_are_served_where_the_node_is(tmp_path: Path) -> None:
    one = admission.found(Founding(name="friends", kind="social", is_on_lan=False), "hall")
    one = msgspec.structs.replace(one, ip4="127.0.0.9")
    house = Neighbourhood().house(one.uid, tmp_path / one.uid)
    port = free_port()
    async with Tasks() as tasks:
        nodes = GatewayNodes(house, tmp_path, tasks)
        async with NameService(nodes, house.clock, port) as service:
            await nodes.configure([one])
            question = DNSRecord.question("hall.friends")
            answer = await asyncio.to_thread(_asked, question, port)
            assert str(answer.a.rdata) == "127.0.0.9"
            await nodes.configure([])
            await service.look()
            assert service._servers == {}
        await nodes.close()


def _asked(question: DNSRecord, port: int) -> DNSRecord:
    import time

    deadline = time.monotonic() + 15
    while True:
        try:
            answer = DNSRecord.parse(question.send("127.0.0.9", port, timeout=1))
            if answer.rr:
                return answer
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
