"""Descriptors that outlive the process they were for."""

from __future__ import annotations

import os
import select
import socket

import pytest

from wayhouse.runtime.supervision.descriptor_bank import DescriptorBank


@pytest.fixture
def bank():
    made = DescriptorBank(4)
    yield made
    made.close()


def is_open(fd: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{fd}")


def test_kept_in_order_and_closed_on_exec(bank) -> None:
    fds = [os.dup(0), os.dup(0), os.dup(0)]
    os.set_inheritable(fds[0], True)
    assert bank.store("b", fds[:1]) == bank.store("a", fds[1:2]) == bank.store("b", fds[2:]) == 0
    assert list(bank) == [("b", fds[0]), ("a", fds[1]), ("b", fds[2])]
    assert not os.get_inheritable(fds[0])
    assert bank.remove("b") == 2
    assert bank.remove("b") == 0
    assert [is_open(fd) for fd in fds] == [False, True, False]
    assert len(bank) == 1


def test_beyond_the_limit_all_is_refused(bank) -> None:
    fds = [os.dup(0) for _ in range(6)]
    assert bank.store("x", fds) == 2
    assert [is_open(fd) for fd in fds] == [True] * 4 + [False] * 2


def test_a_socket_is_kept_once(bank) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        bank.store("c", [os.dup(ours.fileno())])
        bank.store("c", [os.dup(ours.fileno()), os.dup(theirs.fileno())])
        assert len(bank) == 2


def test_hung_up_peers_are_dropped(bank) -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    bank.store("socket", [os.dup(ours.fileno())])
    bank.store("pipe", [read])
    bank.store("kept", [os.dup(ours.fileno())], poll=False)  # known already
    assert len(bank) == 2
    assert bank.sweep() == 0
    theirs.close()
    assert select.select([bank], [], [], 5)[0]
    assert bank.sweep() == 1
    assert [name for name, _ in bank] == ["pipe"]
    os.close(write)
    assert select.select([bank], [], [], 5)[0]
    assert bank.sweep() == 1
    assert not select.select([bank], [], [], 0)[0]  # nothing is left to wake anybody
    ours.close()


def test_what_is_never_dropped(bank, tmp_path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    file = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    ours, theirs = socket.socketpair()
    copy = os.dup(listener.fileno())
    bank.store("listener", [copy])
    bank.store("file", [file])
    bank.store("not-polled", [os.dup(ours.fileno())], poll=False)
    listener.shutdown(socket.SHUT_RDWR)  # a listening socket reports a hang-up then, and stays
    theirs.close()
    assert bank.sweep() == 0
    assert len(bank) == 3
    assert not any(bank.polls(fd) for _, fd in bank)
    listener.close()
    ours.close()


def test_dropped_while_the_file_lives_on_elsewhere(bank) -> None:
    ours, theirs = socket.socketpair()
    for _ in range(3):
        bank.store("c", [os.dup(ours.fileno())])
        assert bank.remove("c") == 1
    theirs.close()
    assert not select.select([bank], [], [], 0)[0]
    assert bank.sweep() == 0
    ours.close()
