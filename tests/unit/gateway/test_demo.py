import stat

import pytest

from tests.parts.house import house
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


async def test_the_examples_are_installed_once_and_removed(tmp_path):
    async with house(tmp_path, engine=FakeEngine(serve=True)) as one:
        await demo.furnish(one.gateway)
        for change in one.gateway.ledger.open_changes():
            await one.gateway.ledger.wait(change.id)
        installed = set(one.gateway.chutes.all)
        assert installed == set(examples.folders())
        await demo.furnish(one.gateway)
        assert one.gateway.ledger.open_changes() == []
        await demo.clear(one.gateway)
        assert dict(one.gateway.chutes.all) == {}
