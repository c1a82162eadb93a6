from wayhouse.base import codec
from wayhouse.host.model import BadSnapdRequestError, SnapdFailedError, SnapdMissingError, Software, WifiCard


def test_names_on_the_wire_are_those_of_the_api():
    assert set(codec.to_builtins(WifiCard("", "", "", "", ""))) == {
        "id",
        "macAddr",
        "vendorId",
        "deviceId",
        "slot",
    }
    assert set(codec.to_builtins(Software(None, None, None, "", None, "", 0))) == {
        "biosVendor",
        "biosVersion",
        "biosDate",
        "kernelVersion",
        "osVersion",
        "pdVersion",
        "uptime",
    }


def test_statuses():
    assert (SnapdMissingError.status, SnapdFailedError.status, BadSnapdRequestError.status) == (503, 502, 400)
