import stat

import pytest

from tests.parts.house import house
from wayhouse.automation import scenario_service
from wayhouse.chutes import examples
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.gateway import demo


def test_the_folder_is_private_and_goes_away():
    with demo.throwaway() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "x").mkdir()
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), demo.throwaway() as folder:
        raise ZeroDivisionError
    assert not folder.exists()


async def test_the_example_scenarios_are_awake_once(tmp_path):
    async with house(tmp_path, engine=FakeEngine(serve=True)) as one:
        rooms = one.gateway.rooms
        rooms.scenarios.start()
        for _ in range(2):
            await demo.furnish(one.gateway)
        assert {name: found.conf.active for name, found in rooms.scenarios.scenarios.items()} == {
            "warm hall": True
        }
        assert list(rooms.crons.jobs) == ["tea"]
        await rooms.scenarios.stop()


async def test_without_a_bus_only_the_scenarios_are_missing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(scenario_service, "UP_WAIT_S", 0.01)
    async with house(tmp_path, engine=FakeEngine(serve=True)) as one:
        await demo.furnish(one.gateway)
        assert one.gateway.ledger.open_changes() != []
        assert "example scenarios are not there" in caplog.text
        for change in one.gateway.ledger.open_changes():
            await one.gateway.ledger.wait(change.id)


async def test_the_examples_are_installed_once_and_removed(tmp_path):
    async with house(tmp_path, engine=FakeEngine(serve=True)) as one:
        one.gateway.rooms.scenarios.start()
        await demo.furnish(one.gateway)
        for change in one.gateway.ledger.open_changes():
            await one.gateway.ledger.wait(change.id)
        installed = set(one.gateway.chutes.all)
        assert installed == set(examples.folders())
        await demo.furnish(one.gateway)
        assert one.gateway.ledger.open_changes() == []
        await demo.clear(one.gateway)
        assert dict(one.gateway.chutes.all) == {}
        await one.gateway.rooms.scenarios.stop()
