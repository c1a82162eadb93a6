# covers: runtime/rpc/channel.py, runtime/rpc/pipelines.py, runtime/rpc/remote_stream.py, runtime/rpc/streams.py
"""The synchronous client, against our server and against one of the original's kind."""

from __future__ import annotations

import copy
import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.ave_v0 import OldServer
from tests.parts.descriptors import open_descriptors
from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime.control import Attachment, Control, Descriptor
from wayhouse.runtime.exceptions import (
    AveException,
    ConnectionClosed,
    ConnectionRefused,
    ConnectionTimeout,
    Exit,
    Timeout,
)
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.rpc.remote_stream import Notification


@pytest.fixture
def server() -> Iterator[tuple[Sample, Any]]:
    control = Sample(listener())
    with control.in_thread() as running:
        yield control, running.address
        control.gate.set()


@pytest.fixture(params=[0, 1])
def remote(server: Any, request: Any) -> Iterator[RemoteControl]:
    with RemoteControl(server[1], "primary", 20, wire=request.param) as found:
        yield found


def test_methods_are_attributes(remote: RemoteControl) -> None:
    assert remote.add(1, 2) == 3
    assert remote.add(1, b=5) == 6
    assert remote.call("add", 1) == 3
    assert remote.authenticated
    assert remote.secret() == "treasure"
    assert remote.echo({"a": ["ö", None, 1.5, 2**70]}) == {"a": ["ö", None, 1.5, 2**70]}
    with pytest.raises(AttributeError):
        remote._private  # noqa: B018
    with pytest.raises(AttributeError):
        copy.copy(remote).__wrapped__  # noqa: B018


def test_exceptions_are_rebuilt(remote: RemoteControl) -> None:
    with pytest.raises(AveException, match="text") as caught:
        remote.boom("text")
    assert caught.value.type == "ValueError"
    assert [row[2] for row in caught.value.trace] == ["boom"]
    assert "Server side traceback" in str(caught.value)
    with pytest.raises(AveException, match=r"^no such RPC: missing$"):
        remote.missing()
    with pytest.raises(AveException) as other:
        remote.ave({"type": "Odd", "message": "m", "more": 3})
    assert other.value.more == 3
    with pytest.raises(AveException, match=r"^no such RPC: åäö$"):
        remote.call("åäö")


def test_async_calls_return_at_once_and_errors_are_not_mistaken(remote: RemoteControl, server: Any) -> None:
    assert remote.boom("x", __async__=True) is None
    assert remote.missing(__async__=True) is None
    assert remote.add(1, __async__=True) is None
    assert remote.echo("mine") == "mine"


def test_a_blob_as_the_manual_makes_it() -> None:
    blob = json.loads(RemoteControl.make_rpc_blob("m", {"p": 1}, 1, 2, k=3, __async__=True))
    assert blob == {
        "method": "m",
        "resource": {"p": 1},
        "params": {"vargs": [1, 2], "kwargs": {"k": 3}},
        "async": True,
    }


def test_after_a_timeout_the_next_answer_is_that_of_the_next_call(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 0.05) as remote:
        with pytest.raises(ConnectionTimeout):
            remote.wait()
        remote.timeout = 20
        assert remote.echo("fresh") == "fresh"
        control.gate.set()
        assert remote.echo("fresher") == "fresher"


def test_on_the_old_wire_a_timeout_ends_the_connection(server: Any) -> None:
    with RemoteControl(server[1], "primary", 0.05, wire=0) as remote:
        with pytest.raises(ConnectionTimeout):
            remote.wait()
        with pytest.raises(ConnectionClosed):
            remote.echo("fresh")
        remote.timeout = 20
        remote.connect()
        assert remote.echo("fresh") == "fresh"


def test_the_deadline_ends_the_method_at_the_server_too(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 0.1) as remote:
        with pytest.raises(ConnectionTimeout):
            remote.until_unwanted()
        assert control.cancelled.wait(10)
        remote.timeout = 20
        assert 0 < remote.left() <= 20
        remote.timeout = None
        assert remote.left() is None


def test_a_deadline_travels_on(server: Any) -> None:
    _, address = server
    far = RemoteControl(address, "primary")

    class Middle(Control):
        @Control.rpc
        def left(self) -> Any:
            return far.left()

    with (
        Middle(None, socket=listener()).in_thread() as running,
        far,
        RemoteControl(running.address, None, 20) as near,
    ):
        assert 0 < near.left() <= 20


def test_calls_of_a_client_that_left_are_cancelled(server: Any) -> None:
    control, address = server
    remote = RemoteControl(address, "primary")
    remote.until_unwanted(__async__=True)
    assert remote.echo(1) == 1
    remote.close()
    assert control.cancelled.wait(10)


@pytest.mark.parametrize("timeout", [None, 0, 20])
def test_a_timeout_of_nothing_is_none(server: Any, timeout: Any) -> None:
    with RemoteControl(server[1], "primary", timeout) as remote:
        assert remote.echo(1) == 1


def test_pipelines(remote: RemoteControl) -> None:
    with remote.pipeline() as batch:
        calls = [batch.add(number, 1) for number in range(1000)]
        wrong = batch.boom("x")
        last = batch.echo("last")
        with pytest.raises(RuntimeError, match="not answered yet"):
            last.result()
    assert [call.result() for call in calls] == list(range(1, 1001))
    with pytest.raises(AveException, match="x"):
        wrong.result()
    assert last.result() == "last"
    assert remote.many("echo", [("y" * 100_000,)] * 50) == ["y" * 100_000] * 50
    assert remote.many("echo", []) == []


def test_a_pipeline_that_fails_is_not_sent(remote: RemoteControl) -> None:
    batch = remote.pipeline()
    batch.add(1, 2)
    batch.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert remote.echo(1) == 1


@pytest.mark.parametrize("wire", [0, 1])
def test_a_pipeline_that_cannot_be_written_leaves_the_client_in_step(server: Any, wire: int) -> None:
    with RemoteControl(server[1], "primary", 20, wire=wire) as remote:
        with pytest.raises(TypeError, match="NOT JSON"):
            remote.many("echo", [(1,), ({1, 2},)])
        if wire == 0:  # it cannot say which answers are no longer wanted
            remote.connect()
        assert remote.echo("mine") == "mine"


def test_a_pipeline_that_times_out_leaves_the_client_in_step(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 0.1) as remote:
        with pytest.raises(ConnectionTimeout):
            remote.many("wait", [()] * 3)
        remote.timeout = 20
        assert remote.echo("mine") == "mine"
        control.gate.set()
        assert remote.echo("mine too") == "mine too"


def test_threads_may_share_one(remote: RemoteControl) -> None:
    wrong: list[int] = []

    def work(start: int) -> None:
        wrong.extend(number for number in range(start, start + 50) if remote.echo(number) != number)

    threads = [threading.Thread(target=work, args=(1000 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_streams(server: Any) -> None:
    with RemoteControl(server[1], "primary", 20) as remote:
        assert list(remote.stream("count", 5000)) == list(range(5000))
        assert list(remote.stream("slow_count", 300)) == list(range(300))
        assert list(remote.stream("ticks", 30)) == list(range(30))
        assert list(remote.stream("count", 0)) == []
        items = remote.stream("fail_after", 2)
        assert (next(items), next(items)) == (0, 1)
        with pytest.raises(AveException, match="no more"):
            next(items)
        assert list(items) == []
        with pytest.raises(AveException, match="is a stream"):
            remote.count(3)
        with pytest.raises(TypeError, match="no stream"):
            next(remote.stream("add", 1))
        with pytest.raises(AveException, match="no such RPC"):
            next(remote.stream("missing"))


def test_calls_between_the_items_of_streams(server: Any) -> None:
    with RemoteControl(server[1], "primary", 20) as remote:
        one, two = remote.stream("count", 500), remote.stream("count", 500)
        for number in range(500):
            assert (next(one), remote.add(number, 1), next(two)) == (number, number + 1, number)
        assert (list(one), list(two)) == ([], [])


def test_a_slow_reader_holds_the_method_up_not_the_memory(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 20) as remote:
        items = remote.stream("count", 10**9, 10_000)
        assert next(items)[0] == 0
        assert remote.echo(1) == 1
        assert control.made < 100, "256 KiB of credit are 25 items"
        for number in range(1, 200):
            assert next(items)[0] == number
        assert control.made < 300
        waiting = [len(one.wire.outbox) for one in control.server.engine.conversations.values()]
        assert max(waiting) < 2 * 1024 * 1024
        items.close()
        assert control.closed.wait(10), "the generator is closed"
        assert remote.echo(2) == 2
        assert list(items) == []


def test_a_stream_ends_with_its_client(server: Any) -> None:
    control, address = server
    remote = RemoteControl(address, "primary", 20)
    items = remote.stream("count", 10**9)
    assert next(items) == 0
    remote.close()
    assert control.closed.wait(10)
    with pytest.raises(ConnectionClosed):
        list(items)


def test_old_servers_have_no_streams(server: Any) -> None:
    with (
        RemoteControl(server[1], "primary", 20, wire=0) as remote,
        pytest.raises(TypeError, match="old wire"),
    ):
        remote.stream("count", 3)


def test_subscriptions(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 20) as remote, RemoteControl(address, "primary", 20) as teller:
        news = remote.subscribe("weather", "traffic")
        assert remote.echo(1) == 1
        teller.tell("other", 0)
        teller.tell("weather", {"rain": True})
        control.notify("traffic", [1])
        assert next(news) == Notification("weather", {"rain": True})
        assert next(news) == Notification("traffic", [1])
        news.close()


def test_a_slow_subscriber_loses_the_oldest_and_is_told(server: Any) -> None:
    control, address = server
    with RemoteControl(address, "primary", 20) as remote, RemoteControl(address, "primary", 20) as teller:
        news = remote.subscribe("big")
        assert remote.echo(1) == 1
        for number in range(1000):
            teller.tell("big", [number, "x" * 5000])
        seen, lost = [], 0
        while not seen or seen[-1] < 999:
            message = next(news)
            lost += message.lost
            seen.append(message.data[0])
        assert lost > 0
        assert len(seen) + lost == 1000
        assert seen == sorted(seen)
        assert control.server.running


def test_attachments(server: Any) -> None:
    with RemoteControl(server[1], "primary", 20) as remote:
        for size in (0, 1, 65_536, 5_000_000):
            assert remote.size(Attachment(b"x" * size)) == size
            assert bytes(remote.blob(size)) == b"b" * size
        assert remote.size(blob=Attachment(bytearray(b"abc"))) == 3
        assert remote.many("size", [(Attachment(b"z" * 50_000),)] * 40) == [50_000] * 40


def test_descriptors_as_arguments_and_results(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    (tmp_path / "file").write_text("from a file")
    with Sample(port=path).in_thread(), RemoteControl(path, "primary", 20, descriptors=True) as remote:
        before = open_descriptors()
        for _ in range(50):
            with (tmp_path / "file").open() as file:
                assert remote.read(Descriptor(file)) == "from a file"
            reader = remote.pipe()["reader"]
            assert os.read(reader.fileno(), 100) == b"from the server"
            reader.close()
        assert open_descriptors() <= before + 10  # of 100
    with Sample(port=path).in_thread(), RemoteControl(path, "primary", 20) as remote:
        with pytest.raises(ValueError, match="descriptors=True"):
            remote.read(Descriptor(0))
        assert remote.echo(1) == 1


def test_an_old_server_is_called_as_ever() -> None:
    with OldServer("secret") as old, RemoteControl(old.address, "secret", 20, profile={"p": 1}) as remote:
        assert remote.echo("ö") == "ö"
        assert remote.wire == 0
        assert remote.authenticated
        assert len(old.greetings[0]) == 16
        assert old.calls[0] == {
            "method": "echo",
            "resource": {"p": 1},
            "params": {"vargs": ["ö"], "kwargs": {}},
            "async": False,
        }
        with pytest.raises(Timeout, match="too slow") as caught:
            remote.boom()
        assert caught.value.trace == [["f.py", 3, "boom", "raise"]]
        assert remote.nan() != remote.nan()
        assert remote.many("echo", [(1,), (2,)]) == [1, 2]


def test_a_refused_handshake_is_no_error_here() -> None:
    with OldServer("secret") as old, RemoteControl(old.address, "wrong", 20) as remote:
        assert remote.echo(1) == 1
        assert not remote.authenticated


def test_out_of_step_with_an_old_server_is_impossible() -> None:
    with OldServer() as old, RemoteControl(old.address, None, 0.05) as remote:
        with pytest.raises(ConnectionTimeout):
            remote.sleep(0.2)
        with pytest.raises(ConnectionClosed):
            remote.echo("fresh")


def test_the_timeout_covers_a_server_that_says_nothing() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        RemoteControl(silent.getsockname(), None, 0.05) as remote,
        pytest.raises(ConnectionTimeout),
    ):
        remote.echo(1)


def test_an_optimist_waits_and_others_do_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with pytest.raises(ConnectionRefused):
        RemoteControl(address, None, 5, optimist=False).echo(1)
    with pytest.raises(ConnectionTimeout):
        RemoteControl(address, None, 0.15).echo(1)


def test_a_socket_that_is_connected_already(server: Any) -> None:
    sock = socket.create_connection(server[1])
    with RemoteControl(None, "primary", 20, sock=sock) as remote:
        assert remote.add(1, 1) == 2
        assert remote.port > 0
    assert sock.fileno() < 0


@pytest.mark.parametrize("wire", [0, 1])
def test_an_exit_message_is_raised_by_the_next_call(wire: int) -> None:
    control = Sample(listener())
    with control.in_thread() as running:
        remote = RemoteControl(running.address, "primary", 20, wire=wire)
        assert remote.echo(1) == 1
        control.shutdown("so long")
        running.stop()
        with pytest.raises((Exit, ConnectionClosed)) as caught:
            remote.echo(2)
        assert "so long" in str(caught.value)
        with pytest.raises(ConnectionClosed):
            remote.echo(3)


@pytest.mark.parametrize(
    "noise", [b"\0\0\0\3abc", b"\xff" * 40, b"\0\0\0\x1f#CHALLENGE#" + b"r" * 20 + b"\0\0\0\2[]"]
)
def test_servers_that_speak_something_else(noise: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:
        remote = RemoteControl(odd.getsockname(), "k", 20)
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                remote.echo(1)
            except ConnectionClosed as error:
                failures.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        far, _ = odd.accept()
        far.sendall(noise)
        thread.join(20)
        far.close()
        assert len(failures) == 1


def test_memory_of_a_pipeline_is_bounded(server: Any) -> None:
    with RemoteControl(server[1], "primary", 20) as remote:
        remote.many("echo", [("x" * 1000,)] * 1000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        calls = ((("x" * 1000),) for _ in range(20_000))
        assert len(remote.many("size", calls)) == 20_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_arguments_are_made_fit_for_json_as_results_are(remote: RemoteControl) -> None:
    assert remote.echo((1, {b"k": b"\xff"})) == [1, {"k": "\ufffd"}]
    assert remote.echo(value="\ud800") == "?"
    with pytest.raises(TypeError, match="NOT JSON"):
        remote.echo({1, 2})
    assert remote.echo(1) == 1
