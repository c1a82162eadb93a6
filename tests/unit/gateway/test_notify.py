import socket

import pytest

from wayhouse.gateway.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path, abstract):
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name if abstract else name)
        listener.settimeout(5)
        notify("READY=1", {"NOTIFY_SOCKET": "@" + name if abstract else name})
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/does/not/exist", "vsock:2:1"])
def test_without_systemd_nothing_happens(address):
    notify("READY=1", {"NOTIFY_SOCKET": address})
    notify("READY=1", {})
