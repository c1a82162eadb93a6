"""`python -m bench.peers.rpc server KIND` and `... client KIND ADDRESS WHAT`: one RPC system, small and large calls.

The server prints its address as JSON and serves. The client connects, warms up, prints "ready", and for every number that it
reads makes that many calls and prints `[wall s, CPU s]`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

LARGE = b"x" * 65536
Calls = Callable[[int], None]
"""Makes so many calls, one after the other unless it pipelines."""


def loop(small: Callable[[], Any], large: Callable[[], Any], what: str) -> Calls:
    call = {"small": small, "large": large}[what]

    def calls(count: int) -> None:
        for _ in range(count):
            call()

    return calls


def announce(address: Any) -> None:
    print(json.dumps(address), flush=True)


class Ours:
    wire = 1

    def server(self) -> None:
        from wayhouse.runtime.control import Attachment, Control

        class Bench(Control):
            @Control.rpc
            def add(self, a: int, b: int) -> int:
                return a + b

            @Control.rpc
            def echo(self, blob: Any) -> Any:
                return blob if isinstance(blob, str) else Attachment(blob)

        sock = self.listener()
        announce(
            sock.getsockname() if sock.family != socket.AF_UNIX else "@" + sock.getsockname()[1:].decode()
        )
        control = Bench(None, "key", socket=sock)
        control.open()
        control.main_loop()

    def listener(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    def client(self, address: Any, what: str) -> Calls:
        from wayhouse.runtime.control import Attachment, RemoteControl

        remote = RemoteControl(address if isinstance(address, str) else tuple(address), "key", wire=self.wire)
        if what == "pipelined":
            return lambda count: [remote.many("add", [(1, 2)] * 32) for _ in range(count // 32)] and None
        if what == "windowed":
            return lambda count: remote.many("add", [(1, 2)] * count) and None
        text = LARGE.decode()
        large = (lambda: remote.echo(Attachment(LARGE))) if self.wire else (lambda: remote.echo(text))
        return loop(lambda: remote.add(1, 2), large, what)


class OursUnix(Ours):
    def listener(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(f"\0wayhouse-bench-{os.getpid()}")
        sock.listen()
        return sock


class OursV0(Ours):
    wire = 0


class Multiprocessing:
    """A thread for each client, as the module's documentation has it."""

    family = "AF_INET"

    def server(self) -> None:
        from multiprocessing.connection import Listener

        address: Any = ("127.0.0.1", 0) if self.family == "AF_INET" else f"\0mp-bench-{os.getpid()}"
        with Listener(address, self.family, backlog=64) as listener:
            announce(listener.address if self.family == "AF_INET" else f"mp-bench-{os.getpid()}")
            while True:
                threading.Thread(target=self._serve, args=(listener.accept(),), daemon=True).start()

    def _serve(self, connection: Any) -> None:
        methods = {"add": lambda a, b: a + b, "echo": lambda blob: blob}
        with contextlib.suppress(EOFError, OSError):
            while True:
                name, args = connection.recv()
                connection.send(methods[name](*args))

    def client(self, address: Any, what: str) -> Calls:
        from multiprocessing.connection import Client

        connection = Client(("\0" + address) if isinstance(address, str) else tuple(address), self.family)

        def call(name: str, *args: Any) -> Any:
            connection.send((name, args))
            return connection.recv()

        return loop(lambda: call("add", 1, 2), lambda: call("echo", LARGE), what)


class MultiprocessingUnix(Multiprocessing):
    family = "AF_UNIX"


class Rpyc:
    def server(self) -> None:
        import rpyc
        from rpyc.utils.server import ThreadedServer

        class Bench(rpyc.Service):  # type: ignore[misc]
            def exposed_add(self, a: int, b: int) -> int:
                return a + b

            def exposed_echo(self, blob: bytes) -> bytes:
                return blob

        server = ThreadedServer(Bench, hostname="127.0.0.1", port=0, backlog=64)
        announce(["127.0.0.1", server.port])
        server.start()

    def client(self, address: Any, what: str) -> Calls:
        import rpyc

        root = rpyc.connect(*address).root
        return loop(lambda: root.add(1, 2), lambda: root.echo(LARGE), what)


class Pyro:
    def server(self) -> None:
        import Pyro5.api

        @Pyro5.api.expose
        class Bench:
            def add(self, a: int, b: int) -> int:
                return a + b

            def echo(self, blob: Any) -> Any:
                return blob

        daemon = Pyro5.api.Daemon(host="127.0.0.1")
        announce(str(daemon.register(Bench())))
        daemon.requestLoop()

    def client(self, address: Any, what: str) -> Calls:
        import Pyro5.api

        proxy = Pyro5.api.Proxy(address)
        text = LARGE.decode()
        return loop(lambda: proxy.add(1, 2), lambda: proxy.echo(text), what)


class Grpc:
    """Generic methods: JSON for the small call, bytes as they are for the large one."""

    def server(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        def add(body: bytes, _: Any) -> bytes:
            a, b = json.loads(body)
            return json.dumps(a + b).encode()

        methods = {
            "add": grpc.unary_unary_rpc_method_handler(add),
            "echo": grpc.unary_unary_rpc_method_handler(lambda body, _: body),
        }
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", methods),))
        announce(["127.0.0.1", server.add_insecure_port("127.0.0.1:0")])
        server.start()
        server.wait_for_termination()

    def client(self, address: Any, what: str) -> Calls:
        import grpc

        channel = grpc.insecure_channel(f"{address[0]}:{address[1]}")
        add, echo = channel.unary_unary("/bench/add"), channel.unary_unary("/bench/echo")
        return loop(lambda: json.loads(add(b"[1, 2]")), lambda: echo(LARGE), what)


class Aiohttp:
    def server(self) -> None:
        from aiohttp import web

        async def add(request: web.Request) -> web.Response:
            a, b = await request.json()
            return web.json_response(a + b)

        async def echo(request: web.Request) -> web.Response:
            return web.json_response(await request.json())

        application = web.Application()
        application.add_routes([web.post("/add", add), web.post("/echo", echo)])
        sock = socket.create_server(("127.0.0.1", 0))
        announce(sock.getsockname())
        web.run_app(application, sock=sock, print=None, access_log=None)

    def client(self, address: Any, what: str) -> Calls:
        import asyncio

        import aiohttp

        url = f"http://{address[0]}:{address[1]}"
        runner = asyncio.Runner()

        async def opened() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(opened())
        path, body = ("/add", [1, 2]) if what == "small" else ("/echo", LARGE.decode())

        async def many(count: int) -> None:
            for _ in range(count):
                async with session.post(url + path, json=body) as response:
                    await response.json()

        return lambda count: runner.run(many(count))


class Original:
    """The original's way with the wire: stdlib JSON, a poll loop, a header and a body in two sends."""

    nodelay = False

    def server(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        announce(listener.getsockname())
        poller, clients = select.poll(), {}
        poller.register(listener, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == listener.fileno():
                    sock, _peer = listener.accept()
                    self._tune(sock)
                    clients[sock.fileno()] = sock
                    poller.register(sock, select.POLLIN)
                elif not self._serve(clients[fd]):
                    poller.unregister(fd)
                    clients.pop(fd).close()

    def _tune(self, sock: socket.socket) -> None:
        if self.nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _serve(self, sock: socket.socket) -> bool:
        try:
            rpc = json.loads(self._get(sock))
        except (EOFError, OSError):
            return False
        methods = {"add": lambda a, b: a + b, "echo": lambda blob: blob}
        params = rpc["params"]
        body = json.dumps({"result": methods[rpc["method"]](*params["vargs"], **params["kwargs"])}).encode()
        sock.sendall(struct.pack(">I", len(body)))
        sock.sendall(body)
        return True

    def _get(self, sock: socket.socket) -> bytes:
        return self._exactly(sock, struct.unpack(">I", self._exactly(sock, 4))[0])

    def _exactly(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = sock.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def client(self, address: Any, what: str) -> Calls:
        sock = socket.create_connection(tuple(address))
        self._tune(sock)

        def call(method: str, *vargs: Any) -> Any:
            rpc = {
                "method": method,
                "resource": None,
                "params": {"vargs": vargs, "kwargs": {}},
                "async": False,
            }
            body = json.dumps(rpc).encode()
            sock.sendall(struct.pack(">I", len(body)) + body)
            return json.loads(self._get(sock))["result"]

        return loop(lambda: call("add", 1, 2), lambda: call("echo", LARGE.decode()), what)


class OriginalNodelay(Original):
    nodelay = True


KINDS: dict[str, Any] = {
    "ours": Ours,
    "ours-unix": OursUnix,
    "ours-v0": OursV0,
    "multiprocessing": Multiprocessing,
    "multiprocessing-unix": MultiprocessingUnix,
    "rpyc": Rpyc,
    "pyro5": Pyro,
    "grpcio": Grpc,
    "aiohttp": Aiohttp,
    "original": Original,
    "original-nodelay": OriginalNodelay,
}


def main() -> None:
    role, kind = sys.argv[1:3]
    if role == "server":
        KINDS[kind]().server()
        return
    calls = KINDS[kind]().client(json.loads(sys.argv[3]), sys.argv[4])
    calls(32)
    print("ready", flush=True)
    for line in sys.stdin:
        begun, cpu = time.perf_counter(), time.process_time()
        calls(int(line))
        print(json.dumps([time.perf_counter() - begun, time.process_time() - cpu]), flush=True)


if __name__ == "__main__":
    main()
