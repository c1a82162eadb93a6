"""The bus on `/metrics`, with real processes."""

import asyncio

from tests.parts.bus_house import bus_house


async def test_the_broker_the_clone_and_titanic_are_counted(tmp_path):
    async with bus_house(tmp_path) as house:
        bus = house.gateway.rooms.bus
        async with asyncio.timeout(20):
            while not bus.seen.durable:
                bus.seen = await bus.overview()
        text = (await house.ask("GET", "/metrics")).body.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("wayhouse_bus"))
    assert float(lines["wayhouse_bus_mmi_total"]) >= 1
    assert float(lines["wayhouse_bus_services"]) >= 5
    assert float(lines["wayhouse_bus_workers"]) >= 5
    assert lines["wayhouse_bus_expired_total"] == "0"
    assert lines["wayhouse_bus_queued"] == "0"
    assert "wayhouse_bus_clone_keys" in lines
    assert lines["wayhouse_bus_durable_waiting"] == "0"
    assert float(lines["wayhouse_bus_durable_bytes"]) > 0
    assert "# TYPE wayhouse_bus_mmi_total counter" in text
    assert "# TYPE wayhouse_bus_services gauge" in text


async def test_what_is_not_known_is_left_out(tmp_path):
    from tests.parts.house import house

    async with house(tmp_path) as one:
        text = (await one.ask("GET", "/metrics")).body.decode()
    assert "\nwayhouse_bus_up 0\n" in text
    assert "\nwayhouse_bus_requests_total" not in text
    assert "# TYPE wayhouse_bus_requests_total counter" in text
