import os
import socket

import pytest

from wayhouse.overlay.drivers import socket_owner
from wayhouse.overlay.drivers.socket_owner import SocketOwners

LOOPBACK = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


@pytest.fixture(params=["netlink", "proc"])
def owners(request):
    found = SocketOwners()
    if request.param == "proc":
        found.close()
    yield found
    found.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("family", "address"), LOOPBACK)
def test_the_owner_of_a_socket(owners, family, address):
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("no IPv6 here")
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        port = sock.getsockname()[1]
        assert owners.owners((address, port)) == {os.getuid()}
        assert owners.owners(("127.0.0.9", port)) == set()
    assert owners.owners((address, port)) == set()


def test_a_socket_bound_to_nothing_sends_from_anywhere(owners):
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        port = sock.getsockname()[1]
        assert owners.owners(("::1", port)) == {os.getuid()}
        assert owners.owners(("127.0.0.1", port)) == {os.getuid()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        port = sock.getsockname()[1]
        assert owners.owners(("127.0.0.1", port)) == {os.getuid()}
        assert owners.owners(("::1", port)) == set()


def test_nobody_is_found_where_nothing_can_be_read(tmp_path):
    found = SocketOwners(tmp_path)
    found.close()
    (tmp_path / "udp").write_text("head\nnot a line\n 1: zz:zz\n 1: 0100007F:0001 x x x x x x\n")
    assert found.owners(("127.0.0.1", 1)) == set()


def test_the_tables_of_proc(tmp_path):
    found = SocketOwners(tmp_path)
    found.close()
    (tmp_path / "udp").write_text(
        "head\n 1: 0100007F:16A8 00000000:0000 07 0:0 00:0 0 1000 0 1\n 2: 00000000:16A8 00000000:0000 07 0:0 00:0 0 7 0 1\n"
    )
    (tmp_path / "udp6").write_text(
        "head\n 3: 00000000000000000000000001000000:16A8 0:0 07 0:0 00:0 0 9 0 1\n"
    )
    if socket_owner.sys.byteorder == "little":
        assert found.owners(("127.0.0.1", 5800)) == {1000, 7}
        assert found.owners(("::1", 5800)) == {9}


def test_the_sockets_of_others_count(owners):
    """Two sockets may stand behind one address; both owners are told."""
    first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with first, second:
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", first.getsockname()[1]))
        assert owners.owners(("127.0.0.1", first.getsockname()[1])) == {os.getuid()}
