# covers: runtime/rpc/server.py, runtime/rpc/conversation.py, runtime/rpc/running.py, runtime/rpc/service.py, runtime/rpc/methods.py, runtime/rpc/outcome.py
# covers: runtime/rpc/engine.py, runtime/rpc/epoll_engine.py, runtime/rpc/embedded.py, runtime/rpc/joins.py, runtime/rpc/hickup.py
# covers: runtime/rpc/transport.py, runtime/rpc/serving.py, runtime/rpc/coerce.py
"""The server, asked by raw bytes as an original client would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.ave_v0 import OldClient, call, frame, read_frame
from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime.connection import BlockingConnection
from wayhouse.runtime.control import Control, RemoteControl
from wayhouse.runtime.exceptions import AveException, ConnectionClosed, ConnectionRefused, Exit
from wayhouse.runtime.process import Process


@contextlib.contextmanager
def serving(**more: Any) -> Iterator[tuple[Sample, Any]]:
    control = Sample(listener(), **more)
    with control.in_thread() as running:
        yield control, running.address


@pytest.fixture
def server() -> Iterator[tuple[Sample, Any]]:
    with serving() as found:
        yield found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """The same in a process of its own; (control, address)."""
    sock = listener()
    address = sock.getsockname()
    control = Sample(sock, home=str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sample, "threads_allowed", True)
        control.start(synchronize=True)
    yield control, address
    if control.is_alive():
        control.kill(signal.SIGKILL)
    control.join(10)


def test_an_old_client_is_served(server: Any) -> None:
    with OldClient(server[1], "primary") as client:
        assert client.verdict == {"authenticated": True}
        assert client.call("add", 1, 2) == {"result": 3}
        assert client.call("secret") == {"result": "treasure"}
        assert client.call("whoami") == {"result": "primary"}
        assert client.call("whole") == {"result": "\ufffd\0garbage"}


def test_a_wrong_key_stays_connected_and_may_do_little(server: Any) -> None:
    with OldClient(server[1], "wrong") as client:
        assert client.verdict == {"authenticated": False}
        assert client.call("add", 1, 2) == {"result": 3}
        assert client.call("secret") == {"exception": "not authenticated to make this call"}
        assert client.call("administer") == {"exception": "not authorized to make this call"}
        assert client.call("nobody_has_the_key") == {"result": "everyone may"}


@pytest.mark.parametrize(("key", "may"), [("admin-key", True), ("guest-key", False), ("primary", False)])
def test_preauth_wants_the_key_of_a_named_account(server: Any, key: str, may: bool) -> None:
    with OldClient(server[1], key) as client:
        refused = {"exception": "not authorized to make this call"}
        assert client.call("administer") == ({"result": "done"} if may else refused)
        assert client.call("secret") == {"result": "treasure"}


def test_without_keys_nobody_is_authenticated() -> None:
    with serving(authkey=None, alt_keys={}) as (_, address), OldClient(address, "") as client:
        assert client.verdict == {"authenticated": False}
        assert client.call("secret") == {"exception": "not authenticated to make this call"}
        assert client.call("administer") == {"result": "done"}, "no named account has a key"


def test_the_empty_key_is_a_key() -> None:
    with serving(authkey="") as (_, address), OldClient(address, None) as client:
        assert client.verdict == {"authenticated": True}


def test_names_that_are_no_rpc(server: Any) -> None:
    with OldClient(server[1]) as client:
        assert client.call("åäö") == {"exception": "no such RPC: åäö"}
        assert client.call("missing") == {"exception": "no such RPC: missing"}
        assert client.call("\ud800") == {"exception": "no such RPC: ?"}
        for name in ("not_marked", "shutdown", "__class__", "authkey"):
            assert client.call(name)["exception"].startswith("not an RPC: {'method': ")


def test_malformed_arguments_come_last(server: Any) -> None:
    with OldClient(server[1], "wrong") as client:
        bad = {"params": {"vargs": 1}}
        assert client.call("add", **bad) == {"exception": "malformed arguments: {'vargs': 1}"}
        assert client.call("secret", **bad) == {"exception": "not authenticated to make this call"}
        assert client.call("none", **bad) == {"exception": "no such RPC: none"}


def test_exceptions_carry_their_trace_from_the_method_on(server: Any) -> None:
    with OldClient(server[1]) as client:
        details = client.call("boom", "text")["exception"]
        assert (details["type"], details["message"]) == ("ValueError", "text")
        assert [row[2] for row in details["trace"]] == ["boom"]
        assert details["trace"][0][3] == "raise ValueError(text)"
        arity = client.call("add")["exception"]
        assert (arity["type"], arity["trace"]) == ("TypeError", [])


def test_an_exception_from_further_away_keeps_its_trace(server: Any) -> None:
    with OldClient(server[1]) as client:
        given_details = {"type": "Odd", "message": "m", "trace": [["f", 1, "g", "h"]], "extra": [1]}
        assert client.call("ave", given_details) == {"exception": given_details}


def test_results_and_exceptions_that_are_not_json(server: Any) -> None:
    with OldClient(server[1]) as client:
        assert client.call("sysexit")["exception"]["type"] == "SystemExit"
        assert client.call("echo", "still here") == {"result": "still here"}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(call("missing", **{"async": True})).encode(),
        json.dumps(call("boom", "x", **{"async": True})).encode(),
        json.dumps({"method": "add", "async": True}).encode(),
        json.dumps(call("secret", **{"async": True})).encode(),
        json.dumps(call("add", **{"async": True, "params": 3})).encode(),
    ],
)
def test_errors_of_async_calls_do_not_put_the_client_out_of_step(server: Any, body: bytes) -> None:
    with OldClient(server[1]) as client:
        client.send(body)
        assert client.call("echo", "mine") == {"result": "mine"}


def test_a_zero_length_frame_does_not_wedge_the_connection(server: Any) -> None:
    with OldClient(server[1]) as client:
        assert client.ask(b"") == {"exception": "malformed JSON: "}
        assert client.call("echo", 1) == {"result": 1}


@pytest.mark.parametrize("size", [2**31, 2**32 - 1, 1024 * 1024 + 1])
def test_oversize_is_answered_then_disconnected(size: int) -> None:
    with serving(limit=1024 * 1024) as (_, address), OldClient(address) as client:
        client.sock.sendall(struct.pack(">I", size) + b"x" * 5000)
        details = client.receive()["exception"]
        assert details["type"] == "OverflowError"
        assert details["message"].endswith("disconnect")
        assert client.is_closed()


def test_a_large_message_passes_both_ways(server: Any) -> None:
    with OldClient(server[1]) as client:
        text = "x" * 3_000_000
        assert client.call("echo", text) == {"result": text}


def test_old_calls_that_are_sent_together_are_answered_in_order(server: Any) -> None:
    control, address = server
    with OldClient(address) as client:
        calls = [call("wait"), call("echo", 1), call("later", 2), call("echo", 3)]
        client.sock.sendall(b"".join(frame(json.dumps(one).encode()) for one in calls))
        with OldClient(address) as other:
            assert other.call("echo", "not held up") == {"result": "not held up"}
        control.gate.set()
        assert [client.receive()["result"] for _ in calls] == ["waited", 1, 2, 3]


def test_a_slow_method_holds_nobody_up(server: Any) -> None:
    control, address = server
    with OldClient(address) as slow, OldClient(address) as quick:
        slow.send(json.dumps(call("wait")).encode())
        assert quick.call("echo", 1) == {"result": 1}
        control.gate.set()
        assert slow.receive() == {"result": "waited"}


def test_a_client_that_does_not_read_costs_bounded_memory_and_nobody_waits(server: Any) -> None:
    control, address = server
    with OldClient(address) as deaf, OldClient(address) as other:
        one = frame(json.dumps(call("echo", "x" * 100_000)).encode())
        deaf.sock.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(400):
                deaf.sock.sendall(one)
                sent += 1
        assert sent < 400, "the server stopped reading"
        assert other.call("echo", 1) == {"result": 1}
        waiting = [len(c.wire.outbox) for c in control.server.engine.conversations.values()]
        assert max(waiting) < 4 * 1024 * 1024


def test_upcalls_and_keys_of_connections(server: Any) -> None:
    control, address = server
    with OldClient(address, "guest-key") as client:
        assert client.call("whoami") == {"result": "guest-key"}
        connection = next(iter(control.established))
        assert control.get_connection_authkey(connection) == "guest-key"
        with pytest.raises(Exception, match="connection already has authkey"):
            control.set_connection_authkey(connection, "other")
    with OldClient(address, "wrong") as client:
        assert client.call("whoami") == {"result": None}
        control.set_connection_authkey(list(control.established)[-1], "primary")
        assert client.call("secret") == {"result": "treasure"}
    with OldClient(address) as client:
        assert client.call("echo", 1) == {"result": 1}
    assert control.events[:2] == [("new", "guest-key"), ("lost", "guest-key")]


def test_a_connection_that_never_answers_the_challenge_is_not_reported(server: Any) -> None:
    control, address = server
    with socket.create_connection(address) as silent:
        read_frame(silent)
        with OldClient(address) as client:
            assert client.call("echo", 1) == {"result": 1}
        assert len(control.server.authenticating) == 1
    assert [event for event in control.events if event[0] == "lost"] in ([], [("lost", None)])


def test_exit_raised_by_a_method_ends_the_server() -> None:
    control = Sample(listener())
    with control.in_thread() as running:
        other = OldClient(running.address)
        with OldClient(running.address) as client:
            assert client.call("leave", "enough") == {"exception": {"type": "Exit", "message": "enough"}}
            assert client.is_closed()
        assert other.receive() == {"exception": {"type": "Exit", "message": "enough"}}
        assert other.is_closed()
        other.sock.close()


@pytest.mark.parametrize("text", ["so long", None])
def test_shutdown_tells_everybody_or_nobody(text: str | None) -> None:
    control = Sample(listener())
    with (
        control.in_thread() as running,
        OldClient(running.address) as client,
        OldClient(running.address) as other,
    ):
        assert client.call("end", text) == {"result": "ending"}
        if text:
            assert other.receive() == {"exception": {"type": "Exit", "message": text}}
        assert other.is_closed()


def test_shutdown_with_an_exception_sends_its_details() -> None:
    control = Sample(listener())
    with control.in_thread() as running, OldClient(running.address) as client:
        assert client.call("echo", 1) == {"result": 1}
        control.shutdown(AveException({"type": "Restarting", "message": "new one"}))
        assert client.receive() == {"exception": {"type": "Restarting", "message": "new one"}}


def test_stop_listening_and_rejecting(server: Any) -> None:
    control, address = server
    with OldClient(address) as client:
        control.rejecting = True
        with socket.create_connection(address) as refused:
            assert refused.recv(1) == b""
        control.rejecting = False
        with OldClient(address):
            pass
        control.server.engine.post(control.stop_listening)
        assert client.call("echo", 1) == {"result": 1}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_an_outgoing_connection_can_be_served(server: Any) -> None:
    control, _ = server
    peer = socket.create_server(("127.0.0.1", 0))
    outgoing = BlockingConnection(peer.getsockname())
    outgoing.connect(5)
    far, _address = peer.accept()
    far.settimeout(20)
    far.sendall(frame(json.dumps(call("whoami")).encode())[:10])
    control.server.engine.post(lambda: control.add_connection(outgoing, "admin-key"))
    far.sendall(frame(json.dumps(call("whoami")).encode())[10:])
    assert json.loads(read_frame(far)) == {"result": "admin-key"}
    far.sendall(frame(json.dumps(call("administer")).encode()))
    assert json.loads(read_frame(far)) == {"result": "done"}
    done = threading.Event()

    def remove() -> None:
        control.remove_connection(outgoing)
        done.set()

    control.server.engine.post(remove)
    assert done.wait(10)
    outgoing.put(b"still open")
    assert read_frame(far) == b"still open"
    outgoing.close()
    far.close()
    peer.close()


def test_a_watched_connection_is_only_watched(server: Any) -> None:
    control, address = server
    near, far = socket.socketpair()
    from wayhouse.runtime.connection import Connection

    watched = Connection(None, near)
    control.server.engine.post(lambda: control.add_keepwatching(watched, "k"))
    far.sendall(b"not read")
    with OldClient(address) as client:
        client.call("echo", 1)
        assert ("lost", "k") not in control.events
        far.close()
        for _ in range(200):
            client.call("echo", 1)
            if ("lost", "k") in control.events:
                break
    assert ("lost", "k") in control.events


def test_idle_is_called_when_nothing_happens() -> None:
    idle = threading.Event()

    class Idle(Sample):
        def idle(self) -> None:
            idle.set()

    with Idle(listener(), interval=0.01).in_thread():
        assert idle.wait(10)


def test_join_later_joins_without_traffic() -> None:
    joined: list[tuple[int, int]] = []
    there = threading.Event()

    class Joining(Sample):
        def joined_process(self, pid: int, exit: int) -> None:  # noqa: A002
            joined.append((pid, exit))
            there.set()

    class Child(Process):
        threads_allowed = True

        def run(self) -> None:
            os._exit(3)

    control = Joining(listener())
    with control.in_thread():
        child = Child()
        child.start()
        control.server.engine.post(lambda: control.join_later(child))
        assert there.wait(10)
        assert joined == [(child.pid, 3)]
        control.server.engine.post(lambda: control.join_later(Child()))
        with pytest.raises(Exception, match="not a Process or subclass"):
            control.join_later(3)  # type: ignore[arg-type]
        with pytest.raises(Exception, match="cannot defer join of self"):
            control.join_later(control)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"port": "x"},
        {"port": True},
        {"port": None},
        {"authkey": 3},
        {"alt_keys": []},
        {"alt_keys": {"a": 1}},
        {"interval": "x"},
    ],
)
def test_wrong_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"port|authkey|alt_keys|interval"):
        Control(**{"port": 4000, **wrong})


def test_access_as_data() -> None:
    access = {"add": ["admin"], "secret": "anyone", "STATS": ["nobody"]}
    with serving(access=access) as (control, address), OldClient(address, "guest-key") as guest:
        assert guest.call("secret") == {"result": "treasure"}
        assert guest.call("add", 1) == {"exception": "not authorized to make this call"}
        assert guest.call("STATS") == {"exception": "not authorized to make this call"}, (
            "no such account: nobody"
        )
        with OldClient(address, "admin-key") as admin:
            assert admin.call("add", 1) == {"result": 3}
        assert control.service.access()["add"] == ["admin"]
    with pytest.raises(ValueError, match="no RPC"):
        Sample(port=4000, access={"missing": "anyone"})
    with pytest.raises(ValueError, match="neither"):
        Sample(port=4000, access={"add": "somebody"})


def test_unix_sockets_know_who_calls(tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    control = Sample(port=path, authkey=None, alt_keys={}, access={"secret": ["owner"]})
    with control.in_thread():
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with RemoteControl(path, timeout=10) as remote:
            assert remote.secret() == "treasure"
            assert remote.authenticated
        with OldClient(path) as client:
            assert client.call("secret") == {"exception": "not authorized to make this call"}
    assert not os.path.exists(path)
    control = Sample(
        port=path, authkey=None, alt_keys={}, accounts={"robot": [4_000_000]}, access={"secret": ["robot"]}
    )
    with control.in_thread(), RemoteControl(path, timeout=10) as remote:
        assert not remote.authenticated or remote.authenticated is False
        with pytest.raises(AveException, match="not authorized"):
            remote.secret()


def test_a_started_server_ends_as_it_should(started: Any) -> None:
    control, address = started
    with OldClient(address, "primary") as client:
        assert client.call("own_pid") == {"result": control.pid}
        control.terminate()
        assert client.is_closed()
    assert control.join(10) == 1
    with pytest.raises(ConnectionRefused):
        RemoteControl(address, "primary", 5, optimist=False).add(1, 2)


def test_sigusr1_leaves_a_trace_without_secrets_and_disturbs_nothing(started: Any, tmp_path: Path) -> None:
    control, address = started
    with OldClient(address, "primary") as client:
        for _ in range(2):
            control.kill(signal.SIGUSR1)
            assert client.call("echo", 1) == {"result": 1}
        traces = sorted((tmp_path / ".wayhouse" / "hickup").iterdir())
        assert len(traces) == 2, "two within a second are two files"
        text = traces[0].read_text()
        assert all(word in text for word in ("stack:", "locals:", "globals:"))
        assert "primary" not in text
        assert "admin-key" not in text
        assert stat.S_IMODE(traces[0].stat().st_mode) == 0o600


def test_exit_through_a_remote(started: Any) -> None:
    control, address = started
    remote = RemoteControl(address, "primary", 10)
    with pytest.raises(Exit, match="enough"):
        remote.leave("enough")
    with pytest.raises(ConnectionClosed):
        remote.add(1, 2)
    assert control.join(10) == 1


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(
    st.lists(st.one_of(st.binary(max_size=100), st.binary(max_size=60).map(frame)), max_size=6), st.booleans()
)
def test_no_input_kills_the_server_or_wedges_another(server: Any, parts: list[bytes], greet: bool) -> None:
    _, address = server
    with OldClient(address) as other:
        rude = OldClient(address).sock if greet else socket.create_connection(address)
        with rude, contextlib.suppress(OSError):
            for part in parts:
                rude.sendall(part)
            assert other.call("echo", 1) == {"result": 1}
        assert other.call("echo", 2) == {"result": 2}


def test_a_thousand_connections_fifty_of_them_busy(server: Any) -> None:
    control, address = server
    clients = [OldClient.__new__(OldClient) for _ in range(1000)]
    socks = [socket.create_connection(address) for _ in clients]
    for sock in socks:
        sock.settimeout(20)
        read_frame(sock)
        sock.sendall(frame(b"no key at all"))
    for sock in socks:
        assert json.loads(read_frame(sock)) == {"authenticated": False}
    busy = socks[::20]
    for sock in socks[1::20]:
        sock.sendall(frame(json.dumps(call("echo", 1)).encode())[:7])
    for turn in range(20):
        for sock in busy:
            sock.sendall(frame(json.dumps(call("echo", turn)).encode()))
        for sock in busy:
            assert json.loads(read_frame(sock)) == {"result": turn}
    assert len(control.established) == 1000
    for sock in socks:
        sock.close()
