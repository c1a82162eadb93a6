"""A server with one method of every kind, for the tests of the RPC."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

from wayhouse.runtime.control import Attachment, Control, Descriptor, current_call
from wayhouse.runtime.exceptions import AveException, Exit

KEYS = {"admin": "admin-key", "share": None, "guest": "guest-key"}


class Sample(Control):
    """Served in a thread of the test, unless it is started."""

    def __init__(self, sock: socket.socket | None = None, **more: Any) -> None:
        settings: dict[str, Any] = {"authkey": "primary", "alt_keys": KEYS, "proc_name": "wayhouse-sample"}
        super().__init__(None if sock else more.pop("port"), socket=sock, **{**settings, **more})
        self.events: list[tuple[str, Any]] = []
        self.gate = threading.Event()
        self.made = 0
        self.closed = threading.Event()
        self.cancelled = threading.Event()

    def new_connection(self, connection: Any, authkey: str | None) -> None:
        self.events.append(("new", authkey))

    def lost_connection(self, connection: Any, authkey: str | None) -> None:
        self.events.append(("lost", authkey))

    def not_marked(self) -> None: ...

    @Control.rpc
    def add(self, a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    @Control.rpc
    def echo(self, value: Any) -> Any:
        return value

    @Control.rpc
    def own_pid(self) -> int:
        return os.getpid()

    @Control.rpc
    @Control.auth
    def secret(self) -> str:
        return "treasure"

    @Control.preauth("admin", "share")
    @Control.rpc
    def administer(self) -> str:
        return "done"

    @Control.rpc
    @Control.preauth("share")
    def nobody_has_the_key(self) -> str:
        return "everyone may"

    @Control.rpc
    def whoami(self) -> Any:
        connection = self.current_connection
        return self.established[connection] if connection is not None else "nobody"

    @Control.rpc
    def boom(self, text: str) -> None:
        raise ValueError(text)

    @Control.rpc
    def ave(self, details: dict[str, Any]) -> None:
        raise AveException(details)

    @Control.rpc
    def leave(self, text: str) -> None:
        raise Exit(text)

    @Control.rpc
    def end(self, text: str | None = None) -> str:
        self.shutdown(text)
        return "ending"

    @Control.rpc
    def sysexit(self) -> None:
        raise SystemExit(3)

    @Control.rpc
    @Control.threaded
    def wait(self) -> str:
        assert self.gate.wait(20)
        return "waited"

    @Control.rpc
    @Control.threaded
    def until_unwanted(self) -> str:
        call = current_call()
        assert call is not None
        while call.wanted:
            self.gate.wait(0.005)
        self.cancelled.set()
        return "nobody reads this"

    @Control.rpc
    def left(self) -> float | None:
        call = current_call()
        return call.remaining() if call is not None else -1.0

    @Control.rpc
    def count(self, until: int, size: int = 0) -> Iterator[Any]:
        try:
            for number in range(until):
                self.made += 1
                yield [number, "x" * size] if size else number
        finally:
            self.closed.set()

    @Control.rpc
    @Control.threaded
    def slow_count(self, until: int) -> Iterator[int]:
        yield from range(until)

    @Control.rpc
    def fail_after(self, until: int) -> Iterator[int]:
        yield from range(until)
        raise ValueError("no more")

    @Control.rpc
    async def later(self, value: Any) -> Any:
        return value

    @Control.rpc
    async def ticks(self, until: int) -> Any:
        for number in range(until):
            yield number

    @Control.rpc
    def size(self, blob: Any) -> int:
        return len(blob)

    @Control.rpc
    def blob(self, size: int) -> Attachment:
        return Attachment(b"b" * size)

    @Control.rpc
    def read(self, source: Descriptor) -> str:
        return os.read(source.fileno(), 100).decode()

    @Control.rpc
    def pipe(self) -> Any:
        reader, writer = os.pipe()
        os.write(writer, b"from the server")
        os.close(writer)
        return {"reader": Descriptor(reader, owned=True)}

    @Control.rpc
    def tell(self, topic: str, data: Any) -> None:
        self.notify(topic, data)

    @Control.rpc
    def whole(self) -> bytes:
        return b"\xff\x00garbage"


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
