import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.drivers.tap import NoTap, Tap

MAC = b"\x02\x11\x11\x11\x11\x11"


@pytest.mark.parametrize("name", ["", "sixteen-letters-", "a/b"])
def test_names_that_are_none(name):
    with pytest.raises(BadInputError, match="name of an interface"):
        Tap(name, MAC)


def test_no_interface():
    interface = NoTap(MAC)
    interface.configure(["10.0.0.1/24"], 1280)
    assert (interface.name, interface.mac, interface.reopen()) == ("", MAC, False)
    interface.close()
    assert interface.fd == -1
