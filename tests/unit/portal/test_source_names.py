from __future__ import annotations

from wayhouse.automation.model import Job
from wayhouse.portal.source_names import SourceNames


async def test_devices_and_jobs_by_the_names_to_write(house):
    await house.device("boiler")
    crons = house.gateway.rooms.crons
    await crons.add(Job(name="night", schedule="@daily"))
    found = SourceNames(house.devices, crons).all()
    for name in ("device:boiler", "device:roof/direction", "device:lamp/power", "cron:night"):
        assert name in found
    assert "device:boiler/value" not in found
