"""What was received is used where it fits and closed where not; paths go with the one who listens last."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.notified import Manager
from wayhouse.base.errors import PermanentError
from wayhouse.gateway.listeners import bind_tcp, bind_unix
from wayhouse.gateway.sockets import Sockets, as_socket, from_manager

HOST = "127.0.0.1"


@pytest.fixture
def given() -> Iterator[socket.socket]:
    with bind_tcp(HOST, 0) as sock:
        yield sock


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager() as found:
        yield found


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def test_bound_by_name_and_closed_at_the_end(tmp_path: Path) -> None:
    with Sockets({}) as listening:
        web = listening.tcp("web", HOST, 0)
        local = listening.unix("local", tmp_path / "a.sock", 0o600)
        assert dict(listening.names()) == {"web": web, "local": local}
        assert (tmp_path / "a.sock").is_socket()
        with socket.create_connection(web.getsockname()):
            pass
    assert (web.fileno(), local.fileno()) == (-1, -1)
    assert not (tmp_path / "a.sock").exists()


@pytest.mark.parametrize("exact", [True, False])
def test_what_was_received_is_used(given: socket.socket, exact: bool) -> None:
    with Sockets({"web": given}) as listening:
        assert listening.tcp("web", HOST, port_of(given) if exact else 0) is given
        assert not given.getblocking()
        listening.drop_unwanted()
        assert given.fileno() >= 0


def test_at_another_address_it_is_bound_anew(given: socket.socket) -> None:
    other = bind_tcp(HOST, 0)
    wanted = port_of(other)
    other.close()
    with Sockets({"web": given}) as listening:
        web = listening.tcp("web", HOST, wanted)
        assert (web is given, port_of(web)) == (False, wanted)
        assert listening.tcp("bridge", "127.0.0.2", port_of(given)) is not given
        listening.drop_unwanted()
        assert given.fileno() == -1


def test_another_kind_of_socket_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with bind_unix(path, 0o600) as local, bind_tcp(HOST, 0) as web, bind_tcp("::1", 0) as six:
        with Sockets({"web": local, "local": web, "six": six}) as listening:
            assert listening.tcp("web", HOST, port_of(six)) is not six
            assert listening.unix("local", tmp_path / "b.sock", 0o600) not in {local, web}
        assert {one.fileno() for one in (local, web, six)} == {-1}


def test_a_host_that_is_none_fits_nothing(given: socket.socket) -> None:
    with Sockets({"web": given}) as listening, pytest.raises(PermanentError):
        listening.tcp("web", "no such host", port_of(given))
    assert given.fileno() == -1


def test_a_manager_s_own_sockets_are_found_by_their_address(given: socket.socket, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    local = bind_unix(path, 0o600)
    with Sockets({" 0": local, " 1": given}) as listening:
        assert listening.tcp("web", HOST, port_of(given)) is given
        assert listening.unix("local", path, 0o600) is local


def test_a_path_must_be_the_same_and_still_be_there(tmp_path: Path) -> None:
    path, other = tmp_path / "a.sock", tmp_path / "b.sock"
    with Sockets({"local": bind_unix(path, 0o600)}) as listening:
        path.unlink()
        found = listening.unix("local", path, 0o600)
        assert path.is_socket()
        listening.drop_unwanted()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert found.getsockname() == str(path)
    with Sockets({"local": bind_unix(path, 0o600)}) as listening:
        assert listening.unix("local", other, 0o600).getsockname() == str(other)
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + str(path))
        abstract.listen()
        with Sockets({"local": abstract}) as listening:
            assert listening.unix("local", path, 0o600) is not abstract


def test_a_successor_finds_the_paths_where_they_are(tmp_path: Path) -> None:
    with Sockets({}) as listening:
        listening.unix("local", tmp_path / "a.sock", 0o600)
        listening.hand_on()
    assert (tmp_path / "a.sock").is_socket()


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_what_is_lent_stays_the_elder_s(tmp_path: Path, is_taken_over: bool) -> None:
    """A successor that fails must not take the paths away under the one that carries on."""
    path, own = tmp_path / "a.sock", tmp_path / "b.sock"
    with bind_unix(path, 0o600) as elder:
        with Sockets({"local": elder.dup()}, lent=True) as listening:
            listening.unix("local", path, 0o600)
            listening.unix("apps", own, 0o600)
            if is_taken_over:
                listening.take_over()
        assert (path.exists(), own.exists()) == (not is_taken_over, False)


def test_the_manager_keeps_them_until_the_end(manager: Manager, tmp_path: Path) -> None:
    with Sockets({}) as listening:
        web = listening.tcp("web", HOST, 0)
        listening.unix("local", tmp_path / "a.sock", 0o600)
        listening.store(manager.env)
        assert manager.heard() == ["FDSTORE=1 FDNAME=wayhouse-web", "FDSTORE=1 FDNAME=wayhouse-local"]
        (kept,) = manager.kept["wayhouse-web"]
        assert os.path.sameopenfile(kept, web.fileno())
        listening.withdraw(manager.env)
    assert manager.heard() == ["FDSTOREREMOVE=1 FDNAME=wayhouse-web", "FDSTOREREMOVE=1 FDNAME=wayhouse-local"]


def test_the_manager_does_not_keep_what_is_not_wanted(manager: Manager) -> None:
    """An address that it keeps could never be bound again, and clients would wait there for nobody."""
    old = {name: bind_tcp(HOST, 0) for name in ("web", "web 1", "bridge", " 3", "é")}
    with Sockets(old) as listening:
        listening.tcp("web", "127.0.0.3", 0)
        listening.drop_unwanted()
        listening.store(manager.env)
        assert manager.heard() == [
            "FDSTOREREMOVE=1 FDNAME=wayhouse-bridge",
            "FDSTOREREMOVE=1 FDNAME=wayhouse-web",
            "FDSTORE=1 FDNAME=wayhouse-web",
        ]


def test_without_a_manager_nothing_is_said() -> None:
    with Sockets({}) as listening:
        listening.tcp("web", HOST, 0)
        listening.store({})
        listening.withdraw({})


def test_what_does_not_listen_is_closed() -> None:
    ends = [*os.pipe(), *(one.detach() for one in socket.socketpair())]
    bound = socket.socket()
    bound.bind((HOST, 0))
    datagram = socket.socket(type=socket.SOCK_DGRAM)
    datagram.bind((HOST, 0))
    for fd in (*ends, bound.detach(), datagram.detach(), os.open(os.devnull, os.O_RDONLY)):
        assert as_socket(fd) is None
        assert not is_open(fd)
    assert as_socket(1_000_000) is None


CHILD = """
import fcntl, json, os, sys
from wayhouse.gateway.sockets import from_manager
from wayhouse.gateway.listeners import bind_tcp
fds, env = json.loads(sys.argv[1]), json.loads(sys.argv[2])
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for place, fd in enumerate(high):
    os.dup2(fd, 3 + place)
    os.close(fd)
found = from_manager({**env, "LISTEN_PID": str(os.getpid()), "KEPT": "1"} if env else env)
def is_open(fd):
    try:
        return not os.get_inheritable(fd)
    except OSError:
        return None
print(json.dumps([{name: one.getsockname() for name, one in found.items()}, [is_open(3 + n) for n in range(len(fds))]]))
"""


def started_with(sockets: list[Any], names: str) -> list[Any]:
    """What a process finds that was started with these, and which of them it keeps."""
    fds = [one if isinstance(one, int) else one.fileno() for one in sockets]
    env = {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(fds), json.dumps(env)],
        pass_fds=fds,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def test_a_process_finds_what_the_manager_started_it_with(tmp_path: Path) -> None:
    read, write = os.pipe()
    path = tmp_path / "a.sock"
    with (
        bind_tcp(HOST, 0) as web,
        bind_tcp(HOST, 0) as again,
        bind_tcp(HOST, 0) as own,
        bind_unix(path, 0o600) as local,
        socket.create_connection(web.getsockname()) as client,
    ):
        names = "wayhouse-web:pipe:wayhouse-web:http.socket:wayhouse-local:wayhouse-client"
        found, kept = started_with([web, read, again, own, local, client], names)
        assert found == {
            "web": list(web.getsockname()),
            "web 2": list(again.getsockname()),
            " 3": list(own.getsockname()),
            "local": str(path),
        }
        assert kept == [True, None, True, True, True, None]
        found, _ = started_with([own, local], "")
        assert found == {" 0": list(own.getsockname()), " 1": str(path)}
    os.close(read)
    os.close(write)


def test_what_was_meant_for_another_process_is_left_alone(given: socket.socket) -> None:
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "wayhouse-web", "KEPT": "1"}
    assert from_manager(env) == {}
    assert env == {"KEPT": "1"}
    assert from_manager({}) == {}
