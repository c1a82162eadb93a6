"""The service manager's protocol, against a socket that plays the manager."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from wayhouse.runtime import cmd, systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path if request.param == "path" else "\0" + path)
        sock.settimeout(5)
        yield sock, {"NOTIFY_SOCKET": path if request.param == "path" else "@" + path}


def test_what_is_said(manager) -> None:
    sock, env = manager
    said = [
        (lambda: systemd.ready(env), "READY=1"),
        (lambda: systemd.ready(env, "3 apps\nMAINPID=1"), "READY=1\nSTATUS=3 apps MAINPID=1"),
        (lambda: systemd.stopping(env), "STOPPING=1"),
        (lambda: systemd.status(env, "busy"), "STATUS=busy"),
        (lambda: systemd.main_pid(env, 42), "MAINPID=42"),
        (lambda: systemd.extend_timeout(env, 1.5), "EXTEND_TIMEOUT_USEC=1500000"),
        (lambda: systemd.watchdog(env), "WATCHDOG=1"),
        (lambda: systemd.drop_fds(env, "http"), "FDSTOREREMOVE=1\nFDNAME=http"),
    ]
    for say, text in said:
        assert say()
        assert sock.recv(1000).decode() == text


def test_reloading_carries_the_time(manager) -> None:
    sock, env = manager
    before = time.monotonic_ns() // 1000
    systemd.reloading(env)
    head, _, usec = sock.recv(1000).decode().rpartition("=")
    assert head == "RELOADING=1\nMONOTONIC_USEC"
    assert before <= int(usec) <= time.monotonic_ns() // 1000


def test_descriptors_are_kept_by_the_manager(manager) -> None:
    sock, env = manager
    read, write = os.pipe()
    assert systemd.store_fds(env, "conn", [read])
    os.close(read)
    text, (kept,), _, _ = socket.recv_fds(sock, 1000, 4)
    assert text == b"FDSTORE=1\nFDNAME=conn"
    os.write(write, b"x")
    assert os.read(kept, 1) == b"x"
    assert systemd.store_fds(env, "many", [write] * 300)
    counts = []
    for _ in range(2):
        _, fds, _, _ = socket.recv_fds(sock, 1000, 253)
        counts.append(len(fds))
        for fd in fds:
            os.close(fd)
    assert counts == [253, 47]
    os.close(kept)
    os.close(write)


@pytest.mark.parametrize("name", ["", "a:b", "a\nREADY=1", "å", "x" * 256])
def test_names_that_cannot_be_sent(name) -> None:
    with pytest.raises(ValueError, match="name"):
        systemd.store_fds({}, name, [0])
    with pytest.raises(ValueError, match="name"):
        systemd.drop_fds({}, name)


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket", "@no-such-socket", "@" + "x" * 300])
def test_without_a_manager_nothing_happens(address) -> None:
    assert not systemd.ready({"NOTIFY_SOCKET": address})
    assert not systemd.ready({})


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
    ],
)
def test_the_watchdog(env, seconds) -> None:
    assert systemd.watchdog_s(env) == seconds


def test_given_sockets_are_taken_by_the_process_they_are_meant_for() -> None:
    script = """
import os, sys
from wayhouse.runtime import systemd
os.dup2(1, 3); os.dup2(1, 4); os.dup2(1, 6)
env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "4", "LISTEN_FDNAMES": "http::kept"}
os.closerange(5, 6)
print(systemd.listen_fds(env), env, os.get_inheritable(3))
print(systemd.listen_fds({"LISTEN_PID": "1", "LISTEN_FDS": "2"}))
for count in ("", "x", "9" * 30, "-1"):
    print(systemd.listen_fds({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}))
"""
    status, out, _ = cmd.run([sys.executable, "-c", script], pty=False)
    assert status == 0, out
    assert out.splitlines() == ["[('http', 3), ('unknown', 4), ('unknown', 6)] {} False", *["[]"] * 5]
