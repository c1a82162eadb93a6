"""The socket on which children speak, with real senders."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.descriptors import open_descriptors
from wayhouse.runtime import systemd
from wayhouse.runtime.supervision import notify_socket
from wayhouse.runtime.supervision.notify_socket import NotifySocket, close_all, descends, parent_of


@pytest.fixture
def place(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="wh") as folder:  # the paths of pytest are too long for a socket
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield folder


@pytest.fixture
def heard(place):
    made = NotifySocket()
    yield made
    made.close()


def test_who_says_what(heard) -> None:
    env = {"NOTIFY_SOCKET": heard.address}
    read, write = os.pipe()
    assert systemd.ready(env, "fine")
    assert systemd.store_fds(env, "http", [read, write])
    first, second = heard.receive()
    assert (first.pid, first.uid, first.notice.ready, first.notice.status) == (
        os.getpid(),
        os.geteuid(),
        True,
        "fine",
    )
    assert second.notice.store
    assert second.notice.fd_name == "http"
    assert len(second.fds) == 2
    assert not any(os.get_inheritable(fd) for fd in second.fds)
    os.write(second.fds[1], b"x")
    assert os.read(read, 1) == b"x"
    close_all([*second.fds, read, write])
    close_all(second.fds)  # closed already: nothing happens
    assert list(heard.receive()) == []


def test_the_sender_is_told_by_the_kernel(heard) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os;from wayhouse.runtime import systemd;systemd.notify('MAINPID=1',os.environ)",
        ],
        env={**os.environ, "NOTIFY_SOCKET": heard.address},
    )
    child.wait()
    (message,) = heard.receive()
    assert message.pid == child.pid


def test_only_its_owner_can_enter(heard) -> None:
    folder = os.path.dirname(heard.address)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_folder_that_others_may_enter_is_not_taken(place, monkeypatch) -> None:
    monkeypatch.setattr(notify_socket.os, "geteuid", lambda: 4242)
    os.mkdir(f"{place}/wayhouse-notify-4242", 0o777)
    assert not notify_socket._is_ours(f"{place}/wayhouse-notify-4242")
    assert not notify_socket._is_ours(f"{place}/no-such")


def test_sockets_of_the_killed_are_swept(place) -> None:
    first = NotifySocket()
    first.detach()  # as if its owner had been killed
    assert os.path.exists(first.address)
    second = NotifySocket()
    third = NotifySocket()
    assert not os.path.exists(first.address)
    assert os.path.exists(second.address)
    for one in (second, third):
        one.close()
        assert not os.path.exists(one.address)


def test_one_that_was_handed_over_goes_on(heard) -> None:
    again = NotifySocket(heard.address, os.dup(heard.fileno()))
    systemd.stopping({"NOTIFY_SOCKET": heard.address})
    (message,) = again.receive()
    assert message.notice.stopping
    assert message.pid == os.getpid()
    again.detach()


def test_too_long_ones_lose_their_descriptors(heard) -> None:
    read, write = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(heard.address)
        socket.send_fds(sock, [b"STATUS=" + b"x" * 5000], [write])
    (message,) = heard.receive()
    assert "too long" in message.fault
    assert message.fds == ()
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)


def test_others_have_their_turn(heard, monkeypatch) -> None:
    monkeypatch.setattr(notify_socket, "AT_ONCE", 3)
    for _ in range(5):
        systemd.watchdog({"NOTIFY_SOCKET": heard.address})
    assert [len(list(heard.receive())) for _ in range(3)] == [3, 2, 0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.binary(max_size=6000), count=st.integers(0, 3))
def test_anything(heard, data, count) -> None:
    before = open_descriptors()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(heard.address)
        socket.send_fds(sock, [data], [0] * count)
    for message in heard.receive():
        assert message.pid == os.getpid()
        close_all(message.fds)
    assert open_descriptors() == before


def test_the_tree() -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    try:
        assert parent_of(grandchild) == child.pid
        assert descends(grandchild, {child.pid})
        assert descends(grandchild, {os.getpid()})
        assert descends(child.pid, {child.pid})
        assert not descends(os.getpid(), {child.pid})
        assert not descends(1, {child.pid})
        assert not descends(2**22 + 5, {child.pid})
    finally:
        os.kill(grandchild, 9)
        child.wait()
        child.stdout.close()
    assert parent_of(2**22 + 5) == 0
