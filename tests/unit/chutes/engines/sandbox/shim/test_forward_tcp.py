"""Forwarding on a loop in a thread, between ordinary sockets."""

# covers: chutes/engines/sandbox/shim/forward_udp.py, chutes/engines/sandbox/shim/loop.py
# covers: chutes/engines/sandbox/shim/ports.py

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from wayhouse.chutes.engines.sandbox.processes import BOOTSTRAP, PACKAGES
from wayhouse.chutes.engines.sandbox.shim import forward_tcp, forward_udp, ports
from wayhouse.chutes.engines.sandbox.shim.launch import LaunchError
from wayhouse.chutes.engines.sandbox.shim.loop import Loop


@contextlib.contextmanager
def running(loop: Loop) -> Iterator[None]:
    reader, writer = os.pipe()
    loop.watch(reader, 1, lambda _events: loop.stop())
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        os.write(writer, b"x")
        thread.join(10)
        os.close(reader)
        os.close(writer)


def listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    return listener


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(10) == b""
    except ConnectionResetError:
        return True


def test_both_directions_and_half_close() -> None:
    loop = Loop()
    with listen() as outside, listen() as inside:
        forward_tcp.Forward(loop, outside, socket.AF_INET, inside.getsockname())
        with running(loop), socket.create_connection(outside.getsockname(), 10) as client:
            served, _ = inside.accept()
            with served:
                served.settimeout(10)
                client.sendall(b"question" * 50_000)
                client.shutdown(socket.SHUT_WR)
                asked = b""
                while part := served.recv(65536):
                    asked += part
                assert asked == b"question" * 50_000
                served.sendall(b"answer")
                served.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b"answer"
                assert client.recv(100) == b""


def test_nobody_inside_closes_the_connection() -> None:
    loop = Loop()
    with socket.socket() as reserved, listen() as outside:
        reserved.bind(("127.0.0.1", 0))
        forward_tcp.Forward(loop, outside, socket.AF_INET, reserved.getsockname())
        with running(loop), socket.create_connection(outside.getsockname(), 10) as client:
            assert closed(client)


def test_datagrams_find_their_way_back() -> None:
    loop = Loop()
    with contextlib.ExitStack() as stack:
        outside, inside, *clients = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(5)
        )
        for end in (outside, inside):
            end.bind(("127.0.0.1", 0))
        inside.settimeout(10)
        forward_udp.Forward(loop, outside, socket.AF_INET, inside.getsockname())
        with running(loop):
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.sendto(b"%d" % number, outside.getsockname())
            for _ in clients:
                data, peer = inside.recvfrom(100)
                inside.sendto(data * 2, peer)
            assert [client.recv(100) for client in clients] == [b"00", b"11", b"22"]


def test_a_port_in_use_is_named() -> None:
    with listen() as holder:
        port = holder.getsockname()[1]
        with pytest.raises(LaunchError, match=f"Port {port} of this machine is already in use"):
            ports.open_all([{"host": port, "container": 80, "protocol": "tcp"}])


def test_timers_run_in_order_and_can_be_taken_back() -> None:
    loop, seen = Loop(), []
    loop.later(0.02, lambda: (seen.append("late"), loop.stop()))  # type: ignore[func-returns-value]
    loop.later(0.0, lambda: seen.append("soon"))
    loop.later(0.01, lambda: seen.append("never")).cancel()
    loop.run()
    assert seen == ["soon", "late"]


def test_the_shim_loads_nothing_but_the_standard_library() -> None:
    """It must start fast, stay small, and live on while the daemon is upgraded."""
    code = BOOTSTRAP.replace("sys.exit(main(sys.argv[1:]))", "print(*sorted(sys.modules))")
    command = [sys.executable, "-I", "-S", "-c", code, PACKAGES]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    outside = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"__main__"}
    assert outside == {"wayhouse"}
    own = [name for name in loaded if name.startswith("wayhouse.") and ".shim" not in name]
    rooms = {"wayhouse.chutes", "wayhouse.chutes.engines", "wayhouse.chutes.engines.sandbox"}
    traced = {
        "wayhouse.runtime",
        "wayhouse.runtime.sight",
        "wayhouse.runtime.sight.trace_box",
        "wayhouse.runtime.sight.proc_stat",
    }
    assert set(own) <= rooms | traced
